//! The sequence of the demo: the walkthrough, the race, the flood, the sale, and the audit at the end.

use std::{sync::Arc, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use optilock::{
    inventory::{Inventory, MemoryInventory, PgInventory},
    sqlx::{self, Connection, PgConnection, postgres::PgConnectOptions},
};
use support::{Server, Source};

use crate::{
    error::BoxError,
    flood::Flood,
    method::Method,
    naive,
    options::{Options, Part},
    race,
    report::{Flooded, Report},
    seller::Deal,
    shop::Shop,
    summary, table, walkthrough,
};

/// The longest sale of each method, so that the demo stays short.
const SALE: Duration = Duration::from_secs(1);

/// One run of the demo.
#[derive(Clone, Copy)]
pub(crate) struct Demo<'a> {
    pub(crate) options: &'a Options,
}

impl Demo<'_> {
    /// Runs in a new database, which is dropped at the end and when the future is dropped.
    pub(crate) async fn on_postgres(self, server: &Server) -> Result<Report, BoxError> {
        let database = server.create_database("demo").await?;
        let free = free_connections(database.options()).await?;
        let buyers = self.options.most_buyers(free)?;
        let shop = Shop::open(database.options(), buyers).await?;
        if let Shop::Postgres(pool) = &shop {
            optilock::migrate(pool).await?;
            naive::create_tables(pool).await?;
        }
        let source = match server.source() {
            Source::Throwaway => "throwaway",
            Source::Url => "url",
        };
        let report = Report::new(server.version(), source, server.durable());
        let report = self.run(&shop, free, report).await;
        shop.close().await;
        database.remove().await?;
        report
    }

    /// Runs without a database.
    pub(crate) async fn in_memory(self) -> Result<Report, BoxError> {
        let shop = Shop::Memory(Arc::new(MemoryInventory::new()));
        let report = Report::new("memory", "memory", false);
        self.run(&shop, u32::MAX, report).await
    }

    async fn run(self, shop: &Shop, free: u32, mut report: Report) -> Result<Report, BoxError> {
        let durable = if report.durable {
            "durable"
        } else {
            "not durable"
        };
        self.print(&format!("{} ({}, {durable})", report.server, report.source));
        if self.options.runs(Part::Race) {
            self.race(shop, free, &mut report).await?;
        }
        if self.options.runs(Part::Flood) {
            self.flood(shop, free, &mut report).await?;
        }
        if self.options.runs(Part::Sale) {
            self.sale(shop, free, &mut report).await?;
        }
        let mut discrepancies = report.disagreements();
        if let Shop::Postgres(pool) = shop {
            // The audit does not cover the tables of `naive`, which is expected to lose updates.
            let audit = PgInventory::new(pool.clone()).audit().await?;
            discrepancies.extend(audit.discrepancies.iter().map(ToString::to_string));
        }
        report.books_balance = discrepancies.is_empty();
        for discrepancy in discrepancies {
            eprintln!("checkout: discrepancy: {discrepancy}");
        }
        if self.options.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("\n{}", summary::of(&report));
        }
        Ok(report)
    }

    async fn race(self, shop: &Shop, free: u32, report: &mut Report) -> Result<(), BoxError> {
        let buyers = self.options.buyers(Part::Race, free)?;
        let stock = self.options.stock(Part::Race)?;
        self.print(&format!(
            "\nOne conflict, step by step\n\n{}",
            walkthrough::run(&*shop.inventory()).await?
        ));
        let bar = progress();
        let methods = self.methods(shop, Part::Race);
        report.race = race::run(shop, &methods, buyers, stock, &bar).await?;
        bar.finish_and_clear();
        self.print(&format!(
            "\nRace: {buyers} buyers, {stock} units, one checkout of one unit per buyer\n\n{}",
            table::race(&report.race)
        ));
        Ok(())
    }

    async fn flood(self, shop: &Shop, free: u32, report: &mut Report) -> Result<(), BoxError> {
        let flood = Flood {
            deal: Deal::Checkout,
            buyers: self.options.buyers(Part::Flood, free)?,
            skus: self.options.skus,
            stock: self.options.stock(Part::Flood)?,
            length: self.options.seconds,
        };
        let bar = progress();
        let mut methods = self.methods(shop, Part::Flood);
        report.flood = flood.run(shop, &methods, &bar).await?;
        let batched = methods.contains(&Method::Batched);
        if let Some(buyers) = self.options.many_buyers().filter(|_| batched) {
            let flood = Flood { buyers, ..flood };
            methods.retain(|method| matches!(method, Method::ForUpdateByHand | Method::Batched));
            let rows = flood.run(shop, &methods, &bar).await?;
            report.flood.extend(rows);
        }
        bar.finish_and_clear();
        let products = match flood.skus {
            1 => "one product".to_owned(),
            skus => format!("{skus} products"),
        };
        self.print(&format!(
            "\nFlood: {} buyers, {products}, {:.1} s per strategy, checkouts as fast as possible\n\n{}",
            flood.buyers,
            flood.length.as_secs_f64(),
            table::flood(&report.flood)
        ));
        self.print_sold_out(&report.flood);
        Ok(())
    }

    async fn sale(self, shop: &Shop, free: u32, report: &mut Report) -> Result<(), BoxError> {
        let buyers = self.options.buyers(Part::Sale, free)?;
        let flood = Flood {
            deal: Deal::Sale,
            buyers: self.options.many_buyers().unwrap_or(buyers),
            skus: 1,
            stock: self.options.stock(Part::Sale)?,
            length: self.options.seconds.min(SALE),
        };
        let bar = progress();
        let methods = self.methods(shop, Part::Sale);
        report.sale = flood.run(shop, &methods, &bar).await?;
        bar.finish_and_clear();
        self.print(&format!(
            "\nSale: {} buyers, one product, {:.1} s per strategy: reserve, buy from the reservation, pay\n\n{}",
            flood.buyers,
            flood.length.as_secs_f64(),
            table::sale(&report.sale)
        ));
        self.print_sold_out(&report.sale);
        Ok(())
    }

    fn print_sold_out(self, rows: &[Flooded]) {
        if rows.iter().any(|row| row.sold_out) {
            self.print("A product sold out early: its rate is that of a shorter run.");
        }
    }

    fn methods(self, shop: &Shop, part: Part) -> Vec<Method> {
        match shop {
            Shop::Postgres(_) => self.options.methods(part),
            Shop::Memory(_) => vec![Method::Memory],
        }
    }

    fn print(self, text: &str) {
        if !self.options.json {
            println!("{text}");
        }
    }
}

/// Returns how many more connections the server accepts.
async fn free_connections(database: PgConnectOptions) -> Result<u32, BoxError> {
    let mut conn = PgConnection::connect_with(&database).await?;
    let free: i64 = sqlx::query_scalar(
        "SELECT current_setting('max_connections')::bigint
             - current_setting('superuser_reserved_connections')::bigint
             - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')",
    )
    .fetch_one(&mut conn)
    .await?;
    conn.close().await?;
    Ok(u32::try_from(free.max(0))?)
}

fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {msg}");
    ProgressBar::no_length().with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
