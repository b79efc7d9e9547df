//! Every operation on rows and transactions, in every surrounding that broke one: one table of operations,
//! one of surroundings, one loop. Those of the shop are in [`shop`].

mod operations;
mod polled;
mod runtimes;
mod shop;
mod surroundings;

use std::{sync::Arc, time::Duration};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use optilock::{
    Class, Classify, RetryError, RetryPolicy,
    postgres::{self, PgRepository},
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use crate::{
    support::bank::{Account, TABLE},
    support::db::{Db, assert_quiet, pool_options},
    support::proxy::Proxy,
};
use operations::{Effect, OPERATIONS, Operation};
use surroundings::SURROUNDINGS;

/// Quick to give up, so that a cell ends soon.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(4)
    .with_base_delay(Duration::from_millis(1));

/// No operation may take longer in any surrounding: the retry's deadline and a round trip, on two cores.
const LIMIT: Duration = Duration::from_secs(15);

/// What an operation said.
#[derive(Debug)]
pub enum Answer {
    Done,
    NotDone { class: Class, text: String },
    Unknown,
}

impl Answer {
    fn of<T>(result: Result<T, postgres::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.class() == Class::Unknown => Self::Unknown,
            Err(error) => Self::NotDone {
                class: error.class(),
                text: error.to_string(),
            },
        }
    }

    fn of_retry<T>(result: Result<T, RetryError<postgres::Error>>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(gave_up) if gave_up.class() == Class::Unknown => Self::Unknown,
            Err(gave_up) => Self::NotDone {
                class: gave_up.error.class(),
                text: gave_up.error.to_string(),
            },
        }
    }

    fn is_refused(&self, by: Class) -> bool {
        matches!(self, Self::NotDone { class, .. } if *class == by)
    }
}

/// What an operation works with: the pool is under attack, the database's own is not.
pub struct Bench {
    db: Arc<Db>,
    pool: PgPool,
    accounts: PgRepository<Account>,
}

impl Bench {
    async fn new() -> Self {
        let db = Db::empty().await;
        sqlx::raw_sql(TABLE).execute(&db.pool).await.unwrap();
        let pool = pool_options(4)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(db.database.options())
            .await
            .unwrap();
        Self::with(Arc::new(db), pool)
    }

    fn with(db: Arc<Db>, pool: PgPool) -> Self {
        let accounts = PgRepository::new(pool.clone());
        Self { db, pool, accounts }
    }

    /// The same database through another pool.
    fn through(&self, pool: PgPool) -> Self {
        Self::with(Arc::clone(&self.db), pool)
    }

    async fn proxied(&self) -> (Proxy, Self) {
        let proxy = Proxy::new(&self.db).await;
        let pool = proxy
            .pool_with(pool_options(4).acquire_timeout(Duration::from_secs(3)))
            .await;
        (proxy, self.through(pool))
    }

    /// A row for one operation, unless that makes it.
    async fn row(&self, operation: &Operation) -> i64 {
        let id = i64::from(rand::random::<u32>());
        if operation.effect != Effect::Inserted {
            let insert = "INSERT INTO bank.accounts (id, owner, cents) VALUES ($1, 'ana', 100)";
            sqlx::query(insert)
                .bind(id)
                .execute(&self.db.pool)
                .await
                .unwrap();
        }
        id
    }

    async fn version(&self, id: i64) -> Option<i64> {
        sqlx::query_scalar("SELECT version FROM bank.accounts WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.db.pool)
            .await
            .unwrap()
    }

    /// Runs the operation on a row of its own and holds it to its word.
    async fn run(&self, operation: &Operation, cell: &str) -> Answer {
        let id = self.row(operation).await;
        let answer = timeout(LIMIT, (operation.run)(self, id)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{cell}: it does not end"));
        self.assert_true(operation, id, Some(&answer), cell).await;
        answer
    }

    /// What is stored is what the answer says, now and when nothing runs any more. `None`: it was dropped.
    async fn assert_true(
        &self,
        operation: &Operation,
        id: i64,
        answer: Option<&Answer>,
        cell: &str,
    ) {
        assert_quiet(&self.db.pool).await;
        let (before, after) = operation.effect.versions();
        let stored = self.version(id).await;
        let is_true = match answer {
            Some(Answer::Done) => stored == after,
            Some(Answer::NotDone { .. }) => stored == before,
            Some(Answer::Unknown) | None => stored == before || stored == after,
        };
        assert!(
            is_true,
            "{cell}: {answer:?}, and version {stored:?} is stored"
        );
    }
}

/// What became of a cell.
pub enum Cell {
    Held,
    /// With the reason.
    CannotApply(&'static str),
}

/// The rows 8, 9 and 11 to 16 of the table of surroundings.
#[tokio::test(flavor = "multi_thread")]
async fn every_operation_in_every_surrounding() {
    let bench = Bench::new().await;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = SURROUNDINGS.iter().map(|surrounding| surrounding.name);
    table.set_header(std::iter::once("operation").chain(names));
    let (mut held, mut reasons) = (0, std::collections::BTreeMap::<_, u32>::new());
    for operation in OPERATIONS {
        let mut row = vec![operation.name];
        for surrounding in SURROUNDINGS {
            let cell = format!("{} in {}", operation.name, surrounding.name);
            row.push(match (surrounding.attack)(&bench, operation, &cell).await {
                Cell::Held => {
                    held += 1;
                    "held"
                }
                Cell::CannotApply(reason) => {
                    *reasons.entry(reason).or_default() += 1;
                    "-"
                }
            });
            assert_quiet(&bench.db.pool).await;
        }
        table.add_row(row);
    }
    println!("{table}\n{held} cells held");
    for (reason, cells) in reasons {
        println!("{cells} cells can't apply: {reason}");
    }
}

/// An operation without a row in the table fails here.
#[test]
fn every_operation_is_in_the_table() {
    const SOURCES: [&str; 6] = [
        include_str!("../../src/postgres/repository/read.rs"),
        include_str!("../../src/postgres/repository/write.rs"),
        include_str!("../../src/postgres/repository/modify.rs"),
        include_str!("../../src/postgres/repository/bulk.rs"),
        include_str!("../../src/postgres/repository/verify.rs"),
        include_str!("../../src/postgres/transaction/transact.rs"),
    ];
    let declared = SOURCES.iter().flat_map(|source| {
        let after = source.split("pub async fn ").skip(1);
        after.filter_map(|rest| rest.split(['(', '<']).next())
    });
    let missing: Vec<&str> = declared
        .filter(|name| OPERATIONS.iter().all(|operation| operation.name != *name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// One operation broken on purpose for each rule: the loop notices.
mod broken {
    use super::*;
    use operations::Run;

    async fn noticed(effect: Effect, run: Run) -> String {
        let bench = Bench::new().await;
        let broken = Operation {
            name: "broken",
            effect,
            run,
        };
        let attack = tokio::spawn(async move {
            let limit = Duration::from_secs(12);
            let run = bench.run(&broken, "on purpose");
            timeout(limit, run).await.expect("it does not end");
        });
        polled::text_of(attack.await.unwrap_err().into_panic())
    }

    const WRITE: &str = "UPDATE bank.accounts SET version = version + 1 WHERE id = $1";

    #[tokio::test(flavor = "multi_thread")]
    async fn done_and_not_stored() {
        let text = noticed(Effect::Written, |_, _| Box::pin(async { Answer::Done })).await;
        assert!(text.contains("Done), and version"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn refused_and_stored() {
        let text = noticed(Effect::Written, |bench, id| {
            Box::pin(async move {
                sqlx::query(WRITE)
                    .bind(id)
                    .execute(&bench.pool)
                    .await
                    .unwrap();
                Answer::of::<()>(Err(sqlx::Error::RowNotFound.into()))
            })
        })
        .await;
        assert!(text.contains("NotDone"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_transaction_left_open() {
        let text = noticed(Effect::Written, |bench, id| {
            Box::pin(async move {
                let mut conn = bench.pool.acquire().await.unwrap();
                sqlx::raw_sql("BEGIN").execute(&mut *conn).await.unwrap();
                sqlx::query(WRITE)
                    .bind(id)
                    .execute(&mut *conn)
                    .await
                    .unwrap();
                std::mem::forget(conn);
                Answer::Done
            })
        })
        .await;
        assert!(text.contains("sessions in transactions"), "{text}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_an_end() {
        let text = noticed(Effect::Nothing, |_, _| Box::pin(std::future::pending())).await;
        assert!(text.contains("does not end"), "{text}");
    }
}
