//! What an operation on rows runs on, and the comparison of its answer with the stored row.

use std::{sync::Arc, time::Duration};

use optilock::{
    Class, Classify, RetryError, RetryPolicy,
    postgres::{self, KeyTable, PgRepository, create_key_table},
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::{
    FLOOR, LIMIT, POLICY, matrix,
    operations::{Effect, OPERATIONS, Operation, Stored},
};
use crate::support::{
    bank::{Account, TABLE},
    connect::pool_of,
    db::{Db, assert_idle, eventually, pool_options},
    proxy::Proxy,
    triggers::run,
};

/// The answer of an operation.
#[derive(Debug)]
pub enum Answer {
    Done,
    NotDone {
        class: Class,
        code: &'static str,
        text: String,
    },
    Unknown,
}

impl Answer {
    pub fn of<T>(result: Result<T, postgres::Error>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(error) if error.class() == Class::Unknown => Self::Unknown,
            Err(error) => Self::NotDone {
                class: error.class(),
                code: error.code(),
                text: text_of(&error),
            },
        }
    }

    pub fn of_retry<T>(result: Result<T, RetryError<postgres::Error>>) -> Self {
        match result {
            Ok(_) => Self::Done,
            Err(gave_up) if gave_up.class() == Class::Unknown => Self::Unknown,
            // A connection that was lost before COMMIT is known by its transaction, and not by the error.
            Err(gave_up) => Self::of::<T>(Err(gave_up.into())),
        }
    }

    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    pub fn is_refused(&self, by: Class) -> bool {
        matches!(self, Self::NotDone { class, .. } if *class == by)
    }

    pub const fn is_busy(&self) -> bool {
        matches!(
            self,
            Self::NotDone {
                class: Class::Busy { .. },
                ..
            }
        )
    }

    pub fn has_code(&self, expected: &str) -> bool {
        matches!(self, Self::NotDone { code, .. } if *code == expected)
    }

    /// Returns the texts of the error and of its sources.
    pub fn text(&self) -> &str {
        match self {
            Self::NotDone { text, .. } => text,
            Self::Done | Self::Unknown => "",
        }
    }
}

fn text_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

/// What operations run on. The pool is under attack, the database's own pool is not.
#[derive(Clone)]
pub struct Harness {
    pub db: Arc<Db>,
    pub pool: PgPool,
    pub accounts: PgRepository<Account>,
    pub limit: Duration,
    pub policy: RetryPolicy,
}

impl Harness {
    pub async fn on(db: Db) -> Self {
        sqlx::raw_sql(TABLE).execute(&db.pool).await.unwrap();
        create_key_table(&db.pool, &KeyTable::default())
            .await
            .unwrap();
        let pool = pool_options(4)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(db.database.options())
            .await
            .unwrap();
        let accounts = PgRepository::new(pool.clone());
        Self {
            db: Arc::new(db),
            pool,
            accounts,
            limit: LIMIT,
            policy: POLICY,
        }
    }

    /// Returns a harness on the same database with another pool.
    pub fn through(&self, pool: PgPool) -> Self {
        let accounts = PgRepository::new(pool.clone());
        Self {
            pool,
            accounts,
            ..self.clone()
        }
    }

    /// Returns a harness on the same database with a new pool of `connections` with these settings.
    pub async fn with_settings(&self, connections: u32, settings: &[(&str, &str)]) -> Self {
        let options = self.db.database.options().options(settings.iter().copied());
        let pool = pool_options(connections)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(options)
            .await
            .unwrap();
        self.through(pool)
    }

    /// Returns a harness on the same database with a new pool of `connections`.
    pub async fn with_pool_of(&self, connections: u32) -> Self {
        self.through(pool_of(&self.db, connections).await)
    }

    pub async fn proxied(&self, connections: u32) -> (Proxy, Self) {
        let proxy = Proxy::new(&self.db).await;
        let pool = proxy
            .pool_with(pool_options(connections).acquire_timeout(Duration::from_secs(3)))
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

    /// Waits for the end of the sessions whose connections were dropped. A session may still have a statement to
    /// read, and an upsert inserts what is not there any more.
    pub async fn wait_for_ends(&self, cell: &str) {
        const SESSIONS: &str = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_type = 'client backend'";
        let ended = async || {
            let sessions: i64 = sqlx::query_scalar(SESSIONS)
                .fetch_one(&self.db.pool)
                .await
                .unwrap();
            sessions <= i64::from(self.db.pool.size() + self.pool.size())
        };
        eventually(&format!("{cell}: its sessions have ended"), ended).await;
    }

    /// Returns the version and the cents of the row.
    pub async fn stored(&self, id: i64) -> Stored {
        sqlx::query_as("SELECT version, cents FROM bank.accounts WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.db.pool)
            .await
            .unwrap()
    }

    /// Runs the operation on this row, within its limit.
    pub async fn attempt(&self, operation: &Operation, id: i64, cell: &str) -> Answer {
        let answer = timeout(self.limit, (operation.run)(self, id)).await;
        answer.unwrap_or_else(|_| panic!("{cell}: it does not end"))
    }

    /// Runs the operation on a new row and judges its answer.
    pub async fn run(&self, operation: &Operation, cell: &str) -> Answer {
        let id = self.prepare(operation).await;
        let answer = self.attempt(operation, id, cell).await;
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
        self.compare(operation, id, answer, cell).await;
    }

    /// Asserts that the stored row agrees with the answer.
    pub async fn compare(
        &self,
        operation: &Operation,
        id: i64,
        answer: Option<&Answer>,
        cell: &str,
    ) {
        let (before, after) = operation.effect.rows();
        let stored = self.stored(id).await;
        let agrees = match answer {
            Some(Answer::Done) => stored == after,
            Some(Answer::NotDone { .. }) => stored == before,
            Some(Answer::Unknown) | None => stored == before || stored == after,
        };
        assert!(agrees, "{cell}: {answer:?}, and {stored:?} is stored");
    }
}

impl matrix::Harness for Harness {
    const FLOOR: &'static str = FLOOR;
    const LIMIT: Duration = LIMIT;

    type Variant = &'static Operation;

    fn variants() -> Vec<&'static Operation> {
        OPERATIONS.iter().collect()
    }

    async fn new() -> Self {
        Self::on(Db::empty().await).await
    }

    fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Each change has its version.
    async fn check_after(&self, cell: &str) {
        const UNBALANCED: &str = "SELECT to_jsonb(a)::text FROM bank.accounts AS a
            WHERE version = 1 AND cents <> 100";
        assert_idle(&self.db.pool).await;
        let acquired = async {
            let mut all = Vec::new();
            for _ in 0..self.pool.options().get_max_connections() {
                all.push(self.pool.acquire().await?);
            }
            Ok::<_, sqlx::Error>(())
        };
        let acquired = timeout(Duration::from_secs(5), acquired).await;
        assert!(
            matches!(acquired, Ok(Ok(()))),
            "{cell}: the pool lost connections: {acquired:?}"
        );
        let unbalanced: Vec<String> = sqlx::query_scalar(UNBALANCED)
            .fetch_all(&self.db.pool)
            .await
            .unwrap();
        assert_eq!(
            unbalanced, [""; 0],
            "{cell}: rows that changed without a version"
        );
        run(&self.db.pool, "TRUNCATE bank.accounts").await;
    }

    async fn reset(&self) {
        const RESET: &str = "SET lock_timeout = '1s';
            DROP TRIGGER IF EXISTS tamper ON bank.accounts;
            DROP TRIGGER IF EXISTS refuse ON bank.accounts;
            DROP POLICY IF EXISTS reading ON bank.accounts;
            DROP POLICY IF EXISTS writing ON bank.accounts;
            ALTER TABLE bank.accounts DISABLE ROW LEVEL SECURITY;
            RESET lock_timeout; TRUNCATE bank.accounts";
        run(&self.db.pool, RESET).await;
        self.check_after("reset").await;
    }
}

impl matrix::Variant for &Operation {
    fn name(&self) -> String {
        self.name.to_owned()
    }
}

/// Inserts an account of this id.
pub async fn insert(pool: &PgPool, id: i64) {
    let insert = "INSERT INTO bank.accounts (id, owner, cents) VALUES ($1, 'ana', 100)";
    sqlx::query(insert).bind(id).execute(pool).await.unwrap();
}
