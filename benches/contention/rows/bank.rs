//! The accounts that the operations write.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    postgres::{Error, PgRepository, transact},
    sqlx::{self, PgPool},
    with_retry,
};
use tokio::task::JoinSet;

use super::{
    account::{Account, LOCK, NOTE, READ},
    operation::Operation,
};

/// No limit: a write that gives up would distort the measurement.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(u32::MAX)
    .with_deadline(None);

/// The number of rows is constant.
#[derive(Clone)]
pub(super) struct Bank {
    pub(super) pool: PgPool,
    accounts: PgRepository<Account>,
    attempts: Arc<AtomicU64>,
    attempts_max: Arc<AtomicU64>,
}

impl Bank {
    pub(super) fn new(pool: PgPool) -> Self {
        Self {
            accounts: PgRepository::new(pool.clone()),
            pool,
            attempts: Arc::default(),
            attempts_max: Arc::default(),
        }
    }

    /// Runs the operation in every writer on one row. Returns when all writes are made.
    pub(super) async fn run(&self, operation: Operation, writers: u64, writes: u64) -> Duration {
        self.take_attempts();
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let bank = self.clone();
            tasks.spawn(async move { bank.write(operation, 1, writes).await });
        }
        for result in tasks.join_all().await {
            result.expect("the writes succeed");
        }
        start.elapsed()
    }

    /// Returns the sum and the maximum of the attempts since the last run, and resets both.
    pub(super) fn take_attempts(&self) -> (u64, u64) {
        (
            self.attempts.swap(0, Relaxed),
            self.attempts_max.swap(0, Relaxed),
        )
    }

    /// Makes `writes` writes in sequence to the account `id`.
    async fn write(&self, operation: Operation, id: i64, writes: u64) -> Result<(), sqlx::Error> {
        let mut row: Account = sqlx::query_as(READ).bind(id).fetch_one(&self.pool).await?;
        for _ in 0..writes {
            row.cents += 1;
            match operation {
                Operation::UpdateByHand => row = row.write(&self.pool).await?,
                Operation::Update => {
                    let updated = self.accounts.update(&row).await;
                    row = updated.expect("there is no other writer");
                }
                Operation::ReadAndUpdateByHand => {
                    let read = sqlx::query_as(READ).bind(id).fetch_one(&self.pool);
                    let read: Account = read.await?;
                    read.plus_one().write(&self.pool).await?;
                }
                Operation::Modify => self.modify(id).await,
                Operation::InsertBySqlx => {
                    let mut transaction = self.pool.begin().await?;
                    let note = sqlx::query(NOTE).bind("a note");
                    note.execute(&mut *transaction).await?;
                    transaction.commit().await?;
                }
                Operation::InsertByTransact => {
                    let inserted = transact(&self.pool, &POLICY, async |tx| {
                        sqlx::query(NOTE).bind("a note").execute(&mut **tx).await
                    });
                    inserted.await.expect("the insert succeeds");
                }
                Operation::ForUpdateByHand => self.lock_by_hand(id).await?,
                Operation::RetriedUpdate => self.update_with_retry(id).await,
                Operation::LockInTransact => self.lock_in_transact(id).await,
            }
        }
        Ok(())
    }

    async fn modify(&self, id: i64) {
        let mut attempts = 0;
        let modified = self.accounts.modify(&POLICY, &id, |account| {
            attempts += 1;
            account.cents += 1;
            Ok::<_, Error>(())
        });
        modified.await.expect("conflicts are retried");
        self.count(attempts);
    }

    async fn lock_by_hand(&self, id: i64) -> Result<(), sqlx::Error> {
        let mut transaction = self.pool.begin().await?;
        let lock = sqlx::query_as(LOCK).bind(id);
        let read: Account = lock.fetch_one(&mut *transaction).await?;
        read.plus_one().write(&mut *transaction).await?;
        transaction.commit().await?;
        self.count(1);
        Ok(())
    }

    async fn update_with_retry(&self, id: i64) {
        let updated = with_retry(&POLICY, async |attempt| {
            let read = self.accounts.get(&id).await?.plus_one();
            let written = self.accounts.update(&read).await;
            written.map(|_| attempt.number())
        });
        self.count(updated.await.expect("conflicts are retried").into());
    }

    async fn lock_in_transact(&self, id: i64) {
        let locked = transact(&self.pool, &POLICY, async |tx| {
            let read = self.accounts.lock_in(tx, &id).await?.plus_one();
            let written = self.accounts.update_in(tx, &read).await;
            written.map(|_| tx.attempt().number())
        });
        self.count(locked.await.expect("conflicts are retried").into());
    }

    fn count(&self, attempts: u64) {
        self.attempts.fetch_add(attempts, Relaxed);
        self.attempts_max.fetch_max(attempts, Relaxed);
    }
}
