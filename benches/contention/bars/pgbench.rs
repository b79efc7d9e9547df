//! Comparison with pgbench, PostgreSQL's own client in C, executing the statement of `guarded`.

use std::{fs, process::Command, time::Duration};

use optilock::inventory::SELL_ONE;
use support::table::{Cell, Table};

use crate::{bench::Bench, buyers, median};

/// Prints the table of `guarded` and pgbench, if pgbench is installed. Both take turns.
pub(crate) fn compare(bench: &Bench, rounds: usize, seconds: u64) {
    let (mut pgbench_rates, mut guarded_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let Some(pgbench) = orders_per_second(bench.database.url(), seconds) else {
            println!("pgbench is not installed: no comparison.");
            return;
        };
        let guarded = buyers::buy_over_32_connections(bench, Duration::from_secs(seconds));
        pgbench_rates.push(pgbench);
        guarded_rates.push(guarded);
        ratios.push(guarded / pgbench);
    }
    let mut table = Table::new(["32 connections, 1,000 products", "orders/s", "ratio"]);
    for (name, rates, ratio) in [
        ("pgbench, the same statement", pgbench_rates, 1.0),
        ("guarded", guarded_rates, median(ratios)),
    ] {
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{:.0}", median(rates))),
            Cell::number(format!("{ratio:.2}")),
        ]);
    }
    println!("{table}");
}

/// Runs pgbench over 32 connections and 1,000 products. Returns the orders per second, or `None` if pgbench
/// is not installed.
fn orders_per_second(url: &str, seconds: u64) -> Option<f64> {
    // Ids ordered by time, as in the library: random ids would make the index more expensive.
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
        ("$7", "(SELECT id FROM new_id)"),
        ("$8", "NULL::text"),
        ("$9", "NULL::text"),
    ] {
        statement = statement.replace(parameter, value);
    }
    let new_id = format!("WITH new_id AS MATERIALIZED (SELECT {id} AS id), changed AS (");
    statement = statement.replacen("WITH changed AS (", &new_id, 1);
    let script = std::env::temp_dir().join(format!("optilock-pgbench-{}", std::process::id()));
    fs::write(&script, format!("\\set n random(0, 999)\n{statement};\n")).ok()?;
    let output = Command::new("pgbench")
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
    let output = output.ok()?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let rate = stdout.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next()?.parse().ok());
    if rate.is_none() {
        eprintln!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
    }
    rate
}
