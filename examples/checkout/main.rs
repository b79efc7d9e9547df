//! Who oversells, who does not, and how fast: on a real PostgreSQL, by one command.
//!
//! `cargo run --release --example checkout` (`-- --help` for its options). It uses the server at
//! `DATABASE_URL`, in a database of its own, or starts a throwaway one.

mod by_hand;
mod contender;
mod crowd;
mod fault;
mod flood;
mod naive;
mod options;
mod race;
mod report;
mod seller;
mod shop;
mod story;
mod table;

use std::{process::ExitCode, sync::Arc};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use optilock::{
    inventory::{Inventory, MemoryInventory, PgInventory},
    sqlx::{self, Connection, PgConnection},
};

use support::{Durability, Server, Source};

use crate::{
    contender::Contender,
    fault::Fault,
    flood::Flood,
    options::{Options, Part},
    report::Report,
    shop::Shop,
};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(report) => verdict(&report),
        Err(fault) => {
            eprintln!("checkout: {}", fault::story(&fault));
            ExitCode::FAILURE
        }
    }
}

fn verdict(report: &Report) -> ExitCode {
    let failures = report.failures();
    for failure in &failures {
        eprintln!("checkout: {failure}");
    }
    if failures.is_empty() && report.books_balance {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(options: &Options) -> Result<Report, Fault> {
    options.check()?;
    let server = match Server::find_or_start(Durability::Durable) {
        Ok(server) => Some(server),
        Err(missing @ support::Error::NotFound(_)) => {
            eprintln!("+------------------------------------------------------------------+");
            eprintln!("|  NO POSTGRESQL: this runs in memory. The SQL was NOT exercised.  |");
            eprintln!("+------------------------------------------------------------------+");
            eprintln!("{missing}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            report = show(options, server.as_ref()) => report,
            () = support::signal::interrupted() => Err("interrupted".into()),
        }
    })
}

/// On PostgreSQL in a database of its own, which goes when this ends or is dropped.
async fn show(options: &Options, server: Option<&Server>) -> Result<Report, Fault> {
    let Some(server) = server else {
        let shop = Shop::Memory(Arc::new(MemoryInventory::new()));
        let report = Report {
            server: "memory".to_owned(),
            source: "memory",
            durable: false,
            race: Vec::new(),
            flood: Vec::new(),
            books_balance: true,
        };
        return play(options, &shop, u32::MAX, report).await;
    };
    let database = server.create_database("demo").await?;
    let room = room(database.options()).await?;
    let buyers = options.most_buyers(room)?;
    let shop = Shop::open(database.options(), buyers).await?;
    if let Shop::Postgres(pool) = &shop {
        optilock::migrate(pool).await?;
        naive::create_tables(pool).await?;
    }
    let report = Report {
        server: server.version().to_owned(),
        source: match server.source() {
            Source::Throwaway => "throwaway",
            Source::Url => "url",
        },
        durable: server.durable(),
        race: Vec::new(),
        flood: Vec::new(),
        books_balance: true,
    };
    let report = play(options, &shop, room, report).await;
    shop.close().await;
    database.remove().await?;
    report
}

/// How many connections the server has left for buyers.
async fn room(database: sqlx::postgres::PgConnectOptions) -> Result<u32, Fault> {
    let mut conn = PgConnection::connect_with(&database).await?;
    let left: i64 = sqlx::query_scalar(
        "SELECT current_setting('max_connections')::bigint
             - current_setting('superuser_reserved_connections')::bigint
             - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')",
    )
    .fetch_one(&mut conn)
    .await?;
    conn.close().await?;
    Ok(u32::try_from(left.max(0))?)
}

async fn play(
    options: &Options,
    shop: &Shop,
    room: u32,
    mut report: Report,
) -> Result<Report, Fault> {
    let contenders = |part| match shop {
        Shop::Postgres(_) => options.contenders(part),
        Shop::Memory(_) => vec![Contender::Memory],
    };
    let say = |text: String| {
        if !options.json {
            println!("{text}");
        }
    };
    let durable = if report.durable {
        "durable"
    } else {
        "not durable"
    };
    say(format!("{} ({}, {durable})", report.server, report.source));
    if options.shows(Part::Race) {
        let (buyers, stock) = (
            options.buyers(Part::Race, room)?,
            options.stock(Part::Race)?,
        );
        say(format!(
            "\nOne conflict, step by step\n\n{}",
            story::tell(&*shop.inventory()).await?
        ));
        let bar = progress();
        report.race = race::run(shop, &contenders(Part::Race), buyers, stock, &bar).await?;
        bar.finish_and_clear();
        say(format!(
            "\nRace: {buyers} buyers want one unit each, there are {stock}\n\n{}",
            table::race(&report.race)
        ));
    }
    if options.shows(Part::Flood) {
        let flood = Flood {
            buyers: options.buyers(Part::Flood, room)?,
            skus: options.skus,
            stock: options.stock(Part::Flood)?,
            length: options.seconds,
        };
        let bar = progress();
        report.flood = flood.run(shop, &contenders(Part::Flood), &bar).await?;
        let combined = contenders(Part::Flood).contains(&Contender::BatchedInventory);
        if let Some(buyers) = options.crowd().filter(|_| combined) {
            // Beside what is written by hand for the same number of buyers.
            let flood = Flood { buyers, ..flood };
            let mut equals = contenders(Part::Flood);
            equals.retain(|contender| {
                matches!(
                    contender,
                    Contender::ForUpdateByHand | Contender::BatchedInventory
                )
            });
            let rows = flood.run(shop, &equals, &bar).await?;
            report.flood.extend(rows);
        }
        bar.finish_and_clear();
        let products = match flood.skus {
            1 => "one product".to_owned(),
            skus => format!("{skus} products"),
        };
        say(format!(
            "\nFlood: {} buyers order {products} as fast as they can, {:.1} s each\n\n{}",
            flood.buyers,
            flood.length.as_secs_f64(),
            table::flood(&report.flood)
        ));
        if report.flood.iter().any(|row| row.sold_out) {
            say(
                "A shelf was sold out before the time was up: its rate is that of a shorter run."
                    .to_owned(),
            );
        }
    }
    let mut broken = report.disagreements();
    if let Shop::Postgres(pool) = shop {
        // The naive tables are not among them: what they lost is the point.
        let audit = PgInventory::new(pool.clone()).audit().await?;
        broken.extend(audit.discrepancies.iter().map(ToString::to_string));
    }
    report.books_balance = broken.is_empty();
    for line in broken {
        eprintln!("checkout: the books are wrong: {line}");
    }
    if options.json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        println!("\n{}", closing(&report));
    }
    Ok(report)
}

/// What was seen, in a sentence or three.
fn closing(report: &Report) -> String {
    let mut said = Vec::new();
    for row in report.race.iter().filter(|row| row.oversold > 0) {
        said.push(format!(
            "{} sold {} units that were not there.",
            row.strategy, row.oversold
        ));
    }
    let others = report
        .race
        .iter()
        .filter(|row| row.strategy != Contender::Naive);
    if others.clone().count() > 0 && others.clone().all(|row| row.oversold == 0) {
        let who = if said.is_empty() {
            "Everybody"
        } else {
            "Everybody else"
        };
        said.push(format!("{who} sold what there was, and not one unit more."));
    }
    let fastest = report
        .flood
        .iter()
        .max_by(|a, b| a.orders_per_second.total_cmp(&b.orders_per_second));
    if let Some((row, ratio)) =
        fastest.and_then(|row| Some((row, table::ratio(&report.flood, row)?)))
    {
        said.push(format!(
            "Fastest under load: {}, {ratio:.2} x what is written by hand.",
            row.strategy
        ));
    }
    said.push(match (report.books_balance, report.source) {
        (true, "memory") => "Every sale that a buyer was told of was made.".to_owned(),
        (true, _) => {
            "The books balance: every unit is in stock or in an order, every change in the ledger."
                .to_owned()
        }
        (false, _) => "THE BOOKS DO NOT BALANCE.".to_owned(),
    });
    said.join(" ")
}

fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {msg}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
