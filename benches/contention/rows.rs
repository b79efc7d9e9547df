//! What a versioned row costs beside the same written by hand: `update`, `modify` and `transact`, by
//! one writer, and by 2, 8 and 32 of one row. What is marked so does not wait for its disk, which shows
//! the client's own share.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use criterion::{BenchmarkId, Criterion, Throughput};
use optilock::{
    RetryPolicy, Version,
    postgres::{Error, PgRepository, pool_options, transact},
    sqlx::{self, PgPool},
    versioned_row, with_retry,
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use crate::median;
use support::{Server, database::Database};

#[derive(Clone, Debug, sqlx::FromRow)]
struct Account {
    id: i64,
    owner: String,
    cents: i64,
    version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner, cents],
} }

const TABLES: &str = "CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL,
        version bigint NOT NULL DEFAULT 1) WITH (fillfactor = 50);
    CREATE TABLE bank.notes (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, note text NOT NULL);
    INSERT INTO bank.accounts SELECT n, 'owner', 0 FROM generate_series(1, 100) AS n";

const READ: &str = "SELECT id, owner, cents, version FROM bank.accounts WHERE id = $1";
const WRITE: &str = "UPDATE bank.accounts SET owner = $3, cents = $4, version = version + 1
    WHERE id = $1 AND version = $2 RETURNING id, owner, cents, version";
const LOCK: &str = "SELECT id, owner, cents, version FROM bank.accounts WHERE id = $1 FOR UPDATE";
const NOTE: &str = "INSERT INTO bank.notes (note) VALUES ($1)";

/// Nobody is to give up: what is measured is the work, not its refusal.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(u32::MAX)
    .with_deadline(None);

#[derive(Clone, Copy)]
enum Way {
    UpdateByHand,
    Update,
    ReadAndUpdateByHand,
    Modify,
    InsertBySqlx,
    InsertByTransact,
    ForUpdateByHand,
    RetriedUpdate,
    LockInTransact,
}

impl Way {
    const fn name(self) -> &'static str {
        match self {
            Self::UpdateByHand => "UPDATE by hand",
            Self::Update => "update",
            Self::ReadAndUpdateByHand => "SELECT, UPDATE by hand",
            Self::Modify => "modify",
            Self::InsertBySqlx => "sqlx begin, commit",
            Self::InsertByTransact => "transact",
            Self::ForUpdateByHand => "SELECT FOR UPDATE by hand",
            Self::RetriedUpdate => "update in with_retry",
            Self::LockInTransact => "lock and update in transact",
        }
    }
}

/// What a bench runs on. Its rows change; its size does not.
#[derive(Clone)]
struct Bank {
    pool: PgPool,
    accounts: PgRepository<Account>,
    attempts: Arc<AtomicU64>,
    attempts_most: Arc<AtomicU64>,
}

async fn write_by_hand<'e>(
    executor: impl sqlx::PgExecutor<'e>,
    row: &Account,
) -> Result<Account, sqlx::Error> {
    let write = sqlx::query_as(WRITE).bind(row.id).bind(row.version);
    let write = write.bind(&row.owner).bind(row.cents);
    write.fetch_one(executor).await
}

impl Bank {
    /// So many writes, one after the other, of the account with this id.
    async fn work(&self, way: Way, id: i64, writes: u64) -> Result<(), sqlx::Error> {
        let mut row: Account = sqlx::query_as(READ).bind(id).fetch_one(&self.pool).await?;
        for _ in 0..writes {
            row.cents += 1;
            match way {
                Way::UpdateByHand => row = write_by_hand(&self.pool, &row).await?,
                Way::Update => {
                    row = self
                        .accounts
                        .update(&row)
                        .await
                        .expect("nobody else writes")
                }
                Way::ReadAndUpdateByHand => {
                    let mut read: Account =
                        sqlx::query_as(READ).bind(id).fetch_one(&self.pool).await?;
                    read.cents += 1;
                    write_by_hand(&self.pool, &read).await?;
                }
                Way::Modify => {
                    let mut attempts = 0;
                    let modified = self.accounts.modify(&POLICY, &id, |account| {
                        attempts += 1;
                        account.cents += 1;
                        Ok::<_, Error>(())
                    });
                    modified.await.expect("conflicts don't escape");
                    self.count(attempts);
                }
                Way::InsertBySqlx => {
                    let mut transaction = self.pool.begin().await?;
                    let note = sqlx::query(NOTE).bind("a note");
                    note.execute(&mut *transaction).await?;
                    transaction.commit().await?;
                }
                Way::InsertByTransact => {
                    let noted = transact(&self.pool, &POLICY, async |tx| {
                        sqlx::query(NOTE).bind("a note").execute(&mut **tx).await
                    });
                    noted.await.expect("a note is a note");
                }
                Way::ForUpdateByHand => {
                    let mut transaction = self.pool.begin().await?;
                    let lock = sqlx::query_as(LOCK).bind(id);
                    let mut read: Account = lock.fetch_one(&mut *transaction).await?;
                    read.cents += 1;
                    write_by_hand(&mut *transaction, &read).await?;
                    transaction.commit().await?;
                    self.count(1);
                }
                Way::RetriedUpdate => {
                    let updated = with_retry(&POLICY, async |attempt| {
                        let read = self.accounts.get(&id).await?.plus_one();
                        let written = self.accounts.update(&read).await;
                        written.map(|_| attempt.number())
                    });
                    self.count(updated.await.expect("conflicts don't escape").into());
                }
                Way::LockInTransact => {
                    let locked = transact(&self.pool, &POLICY, async |tx| {
                        let read = self.accounts.lock_in(tx, &id).await?.plus_one();
                        let written = self.accounts.update_in(tx, &read).await;
                        written.map(|_| tx.attempt().number())
                    });
                    self.count(locked.await.expect("conflicts don't escape").into());
                }
            }
        }
        Ok(())
    }

    fn count(&self, attempts: u64) {
        self.attempts.fetch_add(attempts, Relaxed);
        self.attempts_most.fetch_max(attempts, Relaxed);
    }

    /// All writers on one row, until every one of them has made its writes.
    async fn race(&self, way: Way, writers: u64, writes: u64) -> Duration {
        // Nobody is held to what others counted.
        self.attempts.store(0, Relaxed);
        self.attempts_most.store(0, Relaxed);
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let bank = self.clone();
            tasks.spawn(async move { bank.work(way, 1, writes).await });
        }
        for done in tasks.join_all().await {
            done.expect("the database answers");
        }
        start.elapsed()
    }
}

impl Account {
    fn plus_one(mut self) -> Self {
        self.cents += 1;
        self
    }
}

struct Group {
    title: &'static str,
    ways: &'static [Way],
    writers: u64,
    /// By each writer in one turn.
    writes: u64,
    durable: bool,
}

const UPDATE: &[Way] = &[Way::UpdateByHand, Way::Update];
const MODIFY: &[Way] = &[Way::ReadAndUpdateByHand, Way::Modify];
const INSERT: &[Way] = &[Way::InsertBySqlx, Way::InsertByTransact];
const HOT: &[Way] = &[
    Way::ForUpdateByHand,
    Way::Modify,
    Way::LockInTransact,
    Way::RetriedUpdate,
];

const fn group(
    title: &'static str,
    ways: &'static [Way],
    writers: u64,
    writes: u64,
    durable: bool,
) -> Group {
    Group {
        title,
        ways,
        writers,
        writes,
        durable,
    }
}

const GROUPS: [Group; 9] = [
    group("one writer: update", UPDATE, 1, 100, true),
    group(
        "one writer: update, not waiting for the disk",
        UPDATE,
        1,
        500,
        false,
    ),
    group("one writer: modify", MODIFY, 1, 100, true),
    group(
        "one writer: modify, not waiting for the disk",
        MODIFY,
        1,
        300,
        false,
    ),
    group(
        "one writer: a transaction of one insert",
        INSERT,
        1,
        100,
        true,
    ),
    group(
        "one writer: the same, not waiting for the disk",
        INSERT,
        1,
        300,
        false,
    ),
    group("one row, 2 writers", HOT, 2, 40, true),
    group("one row, 8 writers", HOT, 8, 20, true),
    group("one row, 32 writers", HOT, 32, 10, true),
];

/// A database of this bench's own, and its two kinds of sessions.
struct Bench {
    runtime: Runtime,
    durable: Bank,
    quick: Bank,
    database: Option<Database>,
}

impl Bench {
    fn open(server: &Server) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (durable, quick, database) = runtime.block_on(async {
            let database = server.create_database("contention").await;
            let database = database.expect("a database of our own");
            let pool = |synchronous_commit| {
                let options = database.options();
                pool_options()
                    .max_connections(32)
                    .min_connections(32)
                    .acquire_timeout(Duration::from_secs(60))
                    .connect_with(options.options([("synchronous_commit", synchronous_commit)]))
            };
            let durable = pool("on").await.expect("the database can be reached");
            let quick = pool("off").await.expect("the database can be reached");
            let tables = sqlx::raw_sql(TABLES).execute(&durable).await;
            tables.expect("tables can be made");
            let bank = |pool: PgPool| Bank {
                accounts: PgRepository::new(pool.clone()),
                pool,
                attempts: Arc::default(),
                attempts_most: Arc::default(),
            };
            (bank(durable), bank(quick), database)
        });
        Self {
            runtime,
            durable,
            quick,
            database: Some(database),
        }
    }

    fn race(&self, group: &Group, way: Way, writes: u64) -> Duration {
        let bank = self.bank(group);
        self.runtime.block_on(bank.race(way, group.writers, writes))
    }

    const fn bank(&self, group: &Group) -> &Bank {
        if group.durable {
            &self.durable
        } else {
            &self.quick
        }
    }

    fn measure(&self, criterion: &mut Criterion, group: &Group) {
        let mut measured = criterion.benchmark_group(group.title);
        measured
            .sample_size(10)
            .measurement_time(Duration::from_secs(2))
            .warm_up_time(Duration::from_millis(300));
        measured.throughput(Throughput::Elements(group.writers));
        for &way in group.ways {
            let id = BenchmarkId::from_parameter(way.name());
            measured.bench_function(id, |bencher| {
                bencher.iter_custom(|writes| self.race(group, way, writes));
            });
        }
        measured.finish();
    }

    /// One way after the other, over and over; each round gives a ratio to the first one.
    fn compare(&self, group: &Group, rounds: usize) {
        let total = group.writers * group.writes;
        let bank = self.bank(group);
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        table.set_header([group.title, "writes/s", "ratio", "attempts", "at most"]);
        let mut rates = vec![Vec::new(); group.ways.len()];
        let mut ratios = rates.clone();
        let mut attempts = vec![(0, 0); group.ways.len()];
        for _ in 0..rounds {
            for (index, &way) in group.ways.iter().enumerate() {
                let elapsed = self.race(group, way, group.writes).as_secs_f64();
                let rate = total as f64 / elapsed;
                let first = *rates[0].last().unwrap_or(&rate);
                ratios[index].push(rate / if index == 0 { rate } else { first });
                rates[index].push(rate);
                let (sum, most) = &mut attempts[index];
                *sum += bank.attempts.swap(0, Relaxed);
                *most = bank.attempts_most.swap(0, Relaxed).max(*most);
            }
        }
        for (index, way) in group.ways.iter().enumerate() {
            let (sum, most) = attempts[index];
            let counted = sum > 0;
            let mean = sum as f64 / (total * rounds as u64) as f64;
            let known = |text: String| if counted { text } else { "-".to_owned() };
            table.add_row([
                way.name().to_owned(),
                format!("{:.0}", median(&mut rates[index])),
                format!("{:.2}", median(&mut ratios[index])),
                known(format!("{mean:.2}")),
                known(most.to_string()),
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        println!("{table}");
    }

    fn close(mut self) {
        let database = self.database.take().expect("closed once");
        self.runtime.block_on(async {
            self.durable.pool.close().await;
            self.quick.pool.close().await;
            let removed = database.remove().await;
            removed.expect("our own database can be dropped");
        });
    }
}

/// By criterion itself for those that the filter lets through, and then the tables.
pub(crate) fn run(criterion: &mut Criterion, server: &Server, rounds: usize) {
    let bench = Bench::open(server);
    for group in &GROUPS {
        bench.measure(criterion, group);
    }
    if rounds > 0 {
        for group in &GROUPS {
            bench.compare(group, rounds);
        }
    }
    bench.close();
}
