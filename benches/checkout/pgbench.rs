//! Comparison with pgbench, PostgreSQL's own client in C, executing the statement of `guarded`.

use std::{fs, process::Command, time::Duration};

use optilock::inventory::SELL_ONE;
use support::table::{Cell, Table};

use crate::{bench::Bench, buyers, median};

/// Prints the table of pgbench and `guarded`, with and without reuse of connections, if pgbench is installed. They
/// take turns.
pub(crate) fn compare(bench: &Bench, rounds: usize, seconds: u64) {
    let reusing = bench.inventory.clone().with_connection_reuse();
    let mut rates: [Vec<f64>; 3] = Default::default();
    for _ in 0..rounds {
        let Some(pgbench) = orders_per_second(bench.database.url(), seconds) else {
            println!("pgbench is not installed: no comparison.");
            return;
        };
        rates[0].push(pgbench);
        for (inventory, rates) in [&bench.inventory, &reusing]
            .into_iter()
            .zip(&mut rates[1..])
        {
            let length = Duration::from_secs(seconds);
            rates.push(buyers::buy_over_32_connections(bench, inventory, length));
        }
    }
    let pgbench = rates[0].clone();
    let mut table = Table::new([
        "32 connections, 1,000 products",
        "orders/s",
        "ratio",
        "from",
        "to",
    ]);
    for (name, rates) in [
        "pgbench, the same statement",
        "guarded",
        "guarded, with connection reuse",
    ]
    .into_iter()
    .zip(rates)
    {
        let pairs = rates.iter().zip(&pgbench);
        let mut ratios: Vec<f64> = pairs.map(|(rate, pgbench)| rate / pgbench).collect();
        ratios.sort_by(f64::total_cmp);
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{:.0}", median(rates))),
            Cell::number(format!("{:.2}", median(ratios.clone()))),
            Cell::number(format!("{:.2}", ratios[0])),
            Cell::number(format!("{:.2}", ratios[ratios.len() - 1])),
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
