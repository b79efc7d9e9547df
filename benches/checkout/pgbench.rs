//! PostgreSQL's own client, with the statement of `guarded`: what a server gives to a client in C.

use std::{fs, process::Command};

use optilock::inventory::SELL_ONE;

/// Orders per second over 32 connections and 1,000 products, for so many seconds; `None` where there is
/// no pgbench.
pub(crate) fn orders_per_second(url: &str, seconds: u64) -> Option<f64> {
    // Ids in the order of time, as the library makes them: random ones would cost an index more.
    let id = "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
        || substr(md5(random()::text), 1, 20))::uuid";
    let mut statement = SELL_ONE.to_owned();
    for (parameter, value) in [
        ("$1", "('other-' || :n)"),
        ("$2", "1::bigint"),
        ("$3", "NULL::bigint"),
        ("$4", "NULL::bigint"),
        ("$5", "NULL::text"),
        ("$6", "9223372036854775807"),
        ("$7", "(SELECT id FROM made)"),
        ("$8", "NULL::text"),
        ("$9", "NULL::text"),
    ] {
        statement = statement.replace(parameter, value);
    }
    let made = format!("WITH made AS MATERIALIZED (SELECT {id} AS id), changed AS (");
    statement = statement.replacen("WITH changed AS (", &made, 1);
    let script = std::env::temp_dir().join(format!("optilock-pgbench-{}", std::process::id()));
    fs::write(&script, format!("\\set n random(0, 999)\n{statement};\n")).ok()?;
    let ran = Command::new("pgbench")
        .args([
            "-n",
            "-M",
            "prepared",
            "-c",
            "32",
            "-j",
            "2",
            "-T",
            &seconds.to_string(),
        ])
        .arg("-f")
        .arg(&script)
        .arg(url)
        .output();
    drop(fs::remove_file(&script));
    let ran = ran.ok()?;
    let said = String::from_utf8_lossy(&ran.stdout);
    let rate = said.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next()?.parse().ok());
    if rate.is_none() {
        eprintln!("pgbench: {}", String::from_utf8_lossy(&ran.stderr));
    }
    rate
}
