//! The right to migrate: a row that one process holds for a time.
//!
//! No migration needs it to be correct, as each step can be repeated. It keeps twenty instances that start at once from
//! building the same index twenty times. The others ask for it now and then, and hold neither a connection nor a
//! snapshot meanwhile: a build that runs concurrently waits for every snapshot that is older.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::{error::MigrateError, statement::POLICY};
use crate::{inventory::postgres::schema::Schema, with_retry};

const TAKE: &str = "UPDATE optilock.migration_state
    SET holder = $1, held_until = pg_catalog.clock_timestamp() + '30 seconds'::interval
    WHERE id = 1 AND (holder IS NULL OR holder = $1 OR held_until < pg_catalog.clock_timestamp())";

const GIVE_BACK: &str = "UPDATE optilock.migration_state SET holder = NULL, held_until = NULL
    WHERE id = 1 AND holder = $1";

/// Several times before it expires.
const RENEWED_EVERY: Duration = Duration::from_secs(8);

#[derive(Debug)]
pub(super) struct Lease<'m> {
    pool: &'m PgPool,
    schema: &'m Schema,
    holder: Uuid,
}

impl<'m> Lease<'m> {
    /// Takes it, unless another process has it.
    pub(super) async fn take(
        pool: &'m PgPool,
        schema: &'m Schema,
    ) -> Result<Option<Self>, MigrateError> {
        let lease = Self {
            pool,
            schema,
            holder: Uuid::now_v7(),
        };
        let taken = with_retry(&POLICY, |_| lease.extend());
        let taken = taken.await.map_err(|gave_up| gave_up.error)?;
        Ok(taken.then_some(lease))
    }

    async fn extend(&self) -> Result<bool, MigrateError> {
        let taken = sqlx::query(self.schema.statement(TAKE))
            .bind(self.holder)
            .execute(self.pool)
            .await?;
        Ok(taken.rows_affected() == 1)
    }

    /// Holds it while `work` runs.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let renewal = async {
            let mut turns = interval(RENEWED_EVERY);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                // Without it another process makes the same steps, which is safe.
                if let Err(error) = self.extend().await {
                    tracing::warn!(target: "optilock::migrate", %error, "the lease was not renewed");
                }
            }
        };
        tokio::select! {
            biased;
            done = work => done,
            () = renewal => unreachable!("the renewal has no end"),
        }
    }

    /// Gives it back, so that the next process need not wait until it expires.
    pub(super) async fn give_back(self) {
        let given = sqlx::query(self.schema.statement(GIVE_BACK))
            .bind(self.holder)
            .execute(self.pool)
            .await;
        if let Err(error) = given {
            tracing::warn!(target: "optilock::migrate", %error, "the lease was not given back and will expire");
        }
    }
}
