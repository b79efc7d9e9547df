//! What an operation on rows runs on, and the comparison of its answer with the stored row.

use std::{sync::Arc, time::Duration};

use optilock::{
    Class, Classify, RetryError,
    postgres::{self, PgRepository},
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::{
    LIMIT,
    operations::{Effect, Operation},
};
use crate::support::{
    bank::{Account, TABLE},
    connect::pool_of,
    db::{Db, assert_idle, pool_options},
    proxy::Proxy,
};

/// The answer of an operation.
#[derive(Debug)]
pub enum Answer {
    Done,
    NotDone { class: Class, text: String },
    Unknown,
}

impl Answer {
    pub fn of<T>(result: Result<T, postgres::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.class() == Class::Unknown => Self::Unknown,
            Err(error) => Self::NotDone {
                class: error.class(),
                text: error.to_string(),
            },
        }
    }

    pub fn of_retry<T>(result: Result<T, RetryError<postgres::Error>>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(gave_up) if gave_up.class() == Class::Unknown => Self::Unknown,
            Err(gave_up) => Self::NotDone {
                class: gave_up.error.class(),
                text: gave_up.error.to_string(),
            },
        }
    }

    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    pub fn is_refused(&self, by: Class) -> bool {
        matches!(self, Self::NotDone { class, .. } if *class == by)
    }
}

/// What operations run on. The pool is under attack, the database's own pool is not.
pub struct Harness {
    pub db: Arc<Db>,
    pub pool: PgPool,
    pub accounts: PgRepository<Account>,
}

impl Harness {
    pub async fn new() -> Self {
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

    /// Returns a harness on the same database with another pool.
    pub fn through(&self, pool: PgPool) -> Self {
        Self::with(Arc::clone(&self.db), pool)
    }

    /// Returns a harness on the same database with a new pool of `connections`.
    pub async fn with_pool_of(&self, connections: u32) -> Self {
        self.through(pool_of(&self.db, connections).await)
    }

    pub async fn proxied(&self) -> (Proxy, Self) {
        let proxy = Proxy::new(&self.db).await;
        let pool = proxy
            .pool_with(pool_options(4).acquire_timeout(Duration::from_secs(3)))
            .await;
        (proxy, self.through(pool))
    }

    /// Returns the id of a new row, which is stored unless the operation inserts it.
    pub async fn prepare(&self, operation: &Operation) -> i64 {
        let id = i64::from(rand::random::<u32>());
        if operation.effect != Effect::Inserted {
            insert(&self.db.pool, id).await;
        }
        id
    }

    pub async fn version(&self, id: i64) -> Option<i64> {
        sqlx::query_scalar("SELECT version FROM bank.accounts WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.db.pool)
            .await
            .unwrap()
    }

    /// Runs the operation on a new row and judges its answer.
    pub async fn run(&self, operation: &Operation, cell: &str) -> Answer {
        let id = self.prepare(operation).await;
        let answer = timeout(LIMIT, (operation.run)(self, id)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{cell}: it does not end"));
        self.judge(operation, id, Some(&answer), cell).await;
        answer
    }

    /// The same, and asserts that the operation is done.
    pub async fn expect_done(&self, operation: &Operation, cell: &str) {
        let answer = self.run(operation, cell).await;
        assert!(answer.is_done(), "{cell}: {answer:?}");
    }

    /// Asserts that the stored row agrees with the answer once nothing runs any more. The answer of a dropped
    /// operation is `None`.
    pub async fn judge(&self, operation: &Operation, id: i64, answer: Option<&Answer>, cell: &str) {
        assert_idle(&self.db.pool).await;
        let (before, after) = operation.effect.versions();
        let stored = self.version(id).await;
        let agrees = match answer {
            Some(Answer::Done) => stored == after,
            Some(Answer::NotDone { .. }) => stored == before,
            Some(Answer::Unknown) | None => stored == before || stored == after,
        };
        assert!(
            agrees,
            "{cell}: {answer:?}, and version {stored:?} is stored"
        );
    }
}

/// Inserts an account of this id.
pub async fn insert(pool: &PgPool, id: i64) {
    let insert = "INSERT INTO bank.accounts (id, owner, cents) VALUES ($1, 'ana', 100)";
    sqlx::query(insert).bind(id).execute(pool).await.unwrap();
}
