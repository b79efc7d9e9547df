//! pgbench, PostgreSQL's own client in C, executing the statement of `guarded`.

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use optilock::inventory::SELL_ONE;

use super::{guarded::PRODUCTS, turn::Turn};

pub(super) fn is_installed() -> bool {
    let version = Command::new("pgbench").arg("--version").output();
    version.is_ok_and(|output| output.status.success())
}

/// Returns the name of a product that the script sells.
pub(super) fn sku(number: u64) -> String {
    format!("other-{number}")
}

/// Runs pgbench over 32 connections, for a second at least. Its mean latency stands for both percentiles.
///
/// # Panics
///
/// With what pgbench wrote, if it fails.
pub(super) fn turn(url: &str, window: Duration) -> Turn {
    let script = std::env::temp_dir().join(format!("optilock-pgbench-{}", std::process::id()));
    fs::write(&script, statement()).expect("a temporary file can be written");
    let seconds = window.as_secs_f64().ceil().max(1.0);
    let start = Instant::now();
    let output = Command::new("pgbench")
        .args(["-n", "-M", "prepared", "-c", "32", "-j", "2", "-T"])
        .arg(seconds.to_string())
        .arg("-f")
        .arg(&script)
        .arg(url)
        .output();
    drop(fs::remove_file(&script));
    let output = output.expect("pgbench can be started");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let figure = |name: &str| -> Option<f64> {
        let line = stdout.lines().find_map(|line| line.strip_prefix(name));
        line?.split(' ').next()?.parse().ok()
    };
    let (Some(rate), Some(latency)) = (figure("tps = "), figure("latency average = ")) else {
        panic!("pgbench: {}", String::from_utf8_lossy(&output.stderr));
    };
    // The rate leaves the time of connecting out.
    let done = (rate * start.elapsed().as_secs_f64()) as u64;
    let latency = Duration::from_secs_f64(latency / 1_000.0);
    Turn {
        done,
        elapsed: Duration::from_secs_f64(done as f64 / rate),
        p50: latency,
        p99: latency,
    }
}

/// The statement with values instead of parameters.
fn statement() -> String {
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
        ("$8", "'buyer'::text"),
        ("$9", "NULL::text"),
    ] {
        statement = statement.replace(parameter, value);
    }
    let new_id = format!("WITH new_id AS MATERIALIZED (SELECT {id} AS id), changed AS (");
    statement = statement.replacen("WITH changed AS (", &new_id, 1);
    format!("\\set n random(0, {})\n{statement};\n", PRODUCTS - 1)
}
