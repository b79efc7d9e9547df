//! The bench: a database of its own, with durable and with asynchronous commits.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use optilock::{postgres::pool_options, sqlx};
use support::{
    Server,
    database::Database,
    table::{Cell, Table},
};
use tokio::runtime::{Builder, Runtime};

use super::{account::TABLES, bank::Bank, group::Group, operation::Operation};
use crate::median;

pub(super) struct Bench {
    runtime: Runtime,
    durable: Bank,
    asynchronous: Bank,
    database: Database,
}

impl Bench {
    pub(super) fn open(server: &Server) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let (durable, asynchronous, database) = runtime.block_on(async {
            let database = server.create_database("contention").await;
            let database = database.expect("a database can be created");
            let pool = |synchronous_commit| {
                let options = database.options();
                pool_options()
                    .max_connections(32)
                    .min_connections(32)
                    .acquire_timeout(Duration::from_secs(60))
                    .connect_with(options.options([("synchronous_commit", synchronous_commit)]))
            };
            let durable = pool("on").await.expect("the database accepts connections");
            let asynchronous = pool("off").await.expect("the database accepts connections");
            let tables = sqlx::raw_sql(TABLES).execute(&durable).await;
            tables.expect("the tables can be created");
            (Bank::new(durable), Bank::new(asynchronous), database)
        });
        Self {
            runtime,
            durable,
            asynchronous,
            database,
        }
    }

    fn run(&self, group: &Group, operation: Operation, writes: u64) -> Duration {
        let bank = self.bank(group);
        self.runtime
            .block_on(bank.run(operation, group.writers, writes))
    }

    const fn bank(&self, group: &Group) -> &Bank {
        if group.durable {
            &self.durable
        } else {
            &self.asynchronous
        }
    }

    pub(super) fn measure(&self, criterion: &mut Criterion, group: &Group) {
        let mut measured = criterion.benchmark_group(group.title);
        measured
            .sample_size(10)
            .measurement_time(Duration::from_secs(2))
            .warm_up_time(Duration::from_millis(300));
        measured.throughput(Throughput::Elements(group.writers));
        for &operation in group.operations {
            let id = BenchmarkId::from_parameter(operation.name());
            measured.bench_function(id, |bencher| {
                bencher.iter_custom(|writes| self.run(group, operation, writes));
            });
        }
        measured.finish();
    }

    /// Measures the operations in turns. Each round gives a ratio to the first operation.
    pub(super) fn compare(&self, group: &Group, rounds: usize) -> Table {
        let total = group.writers * group.writes;
        let mut rates = vec![Vec::new(); group.operations.len()];
        let mut ratios = rates.clone();
        let mut attempts = vec![(0, 0); group.operations.len()];
        for _ in 0..rounds {
            for (index, &operation) in group.operations.iter().enumerate() {
                let elapsed = self.run(group, operation, group.writes).as_secs_f64();
                let rate = total as f64 / elapsed;
                let first = *rates[0].last().unwrap_or(&rate);
                ratios[index].push(rate / if index == 0 { rate } else { first });
                rates[index].push(rate);
                let (sum, max) = self.bank(group).take_attempts();
                attempts[index] = (attempts[index].0 + sum, attempts[index].1.max(max));
            }
        }
        let mut table = Table::new([group.title, "writes/s", "ratio", "attempts", "at most"]);
        for (index, operation) in group.operations.iter().enumerate() {
            let (sum, max) = attempts[index];
            let mean = sum as f64 / (total * rounds as u64) as f64;
            let counted = |text: String| if sum > 0 { text } else { "-".to_owned() };
            table.add_row([
                Cell::new(operation.name()),
                Cell::number(format!("{:.0}", median(&mut rates[index]))),
                Cell::number(format!("{:.2}", median(&mut ratios[index]))),
                Cell::number(counted(format!("{mean:.2}"))),
                Cell::number(counted(max.to_string())),
            ]);
        }
        table
    }

    /// Drops the database.
    pub(super) fn close(self) {
        let Self {
            runtime,
            durable,
            asynchronous,
            database,
        } = self;
        runtime.block_on(async {
            durable.pool.close().await;
            asynchronous.pool.close().await;
            let removed = database.remove().await;
            removed.expect("the database can be dropped");
        });
    }
}
