//! The right to migrate: a row that one process holds for a time.
//!
//! No migration needs it to be correct, as each step can be repeated. It keeps twenty instances that start at once from
//! building the same index twenty times. The others ask for it now and then, and hold neither a connection nor a
//! snapshot meanwhile: a build that runs concurrently waits for every snapshot that is older.

use std::{future::poll_fn, pin::pin, time::Duration};

use sqlx::PgPool;
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{
    error::MigrateError,
    statement::{OPTIONS, QUESTION, lift_limits},
};
use crate::{inventory::postgres::schema::Schema, postgres::transact_with};

/// It is free also if its time is further away than any holder sets it, as after a change of the server's clock.
const TAKE: &str = "UPDATE optilock.migration_state
    SET holder = $1, held_until = pg_catalog.clock_timestamp() + '30 seconds'::interval
    WHERE id = 1 AND (holder IS NULL OR held_until IS NULL OR held_until < pg_catalog.clock_timestamp()
        OR held_until > pg_catalog.clock_timestamp() + '1 minute'::interval)";

const HOLDER: &str = "SELECT holder FROM optilock.migration_state
    WHERE id = 1 AND held_until BETWEEN pg_catalog.clock_timestamp()
        AND pg_catalog.clock_timestamp() + '1 minute'::interval";

const RENEW: &str = "UPDATE optilock.migration_state
    SET held_until = pg_catalog.clock_timestamp() + '30 seconds'::interval WHERE id = 1 AND holder = $1";

const GIVE_BACK: &str = "UPDATE optilock.migration_state SET holder = NULL, held_until = NULL
    WHERE id = 1 AND holder = $1";

/// Several times before it expires.
const RENEWED_EVERY: Duration = Duration::from_secs(8);

/// How often it may be free and not be taken: as often as others give it back in between, or because the write is
/// suppressed.
const TRIES: u32 = 5;

/// The migration lease that a process holds. If it is dropped, a task gives it back.
#[derive(Debug)]
pub(super) struct Lease {
    pool: PgPool,
    schema: Schema,
    holder: Uuid,
    given_back: bool,
}

impl Lease {
    /// Takes it. Returns the holder if another process has it.
    pub(super) async fn take(
        pool: &PgPool,
        schema: &Schema,
    ) -> Result<Result<Self, Uuid>, MigrateError> {
        for _ in 0..TRIES {
            let own = Uuid::now_v7();
            if write(pool, schema, TAKE, own).await? {
                return Ok(Ok(Self {
                    pool: pool.clone(),
                    schema: schema.clone(),
                    holder: own,
                    given_back: false,
                }));
            }
            let holder = transact_with(pool, &QUESTION, &OPTIONS, async |tx| {
                lift_limits(tx).await?;
                let holder = sqlx::query_scalar(schema.statement(HOLDER));
                let holder: Option<Option<Uuid>> = holder.fetch_optional(&mut **tx).await?;
                Ok::<_, MigrateError>(holder.flatten())
            });
            let holder = holder.await.map_err(|gave_up| gave_up.error)?;
            if let Some(holder) = holder {
                return Ok(Err(holder));
            }
        }
        Err(MigrateError::suppressed(schema, "migration_state"))
    }

    /// Holds it while `work` runs.
    pub(super) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let renewal = async {
            let mut turns = interval(RENEWED_EVERY);
            turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                // Without it another process makes the same steps, which is safe.
                if let Err(error) = write(&self.pool, &self.schema, RENEW, self.holder).await {
                    tracing::warn!(target: "optilock::migrate", %error, "the lease was not renewed");
                }
            }
        };
        let (mut work, mut renewal) = (pin!(work), pin!(renewal));
        poll_fn(|context| {
            let done = work.as_mut().poll(context);
            if done.is_pending() {
                // It has no end.
                _ = renewal.as_mut().poll(context);
            }
            done
        })
        .await
    }

    /// Gives it back, so that the next process need not wait until it expires.
    pub(super) async fn give_back(mut self) {
        self.given_back = true;
        give_back(&self.pool, &self.schema, self.holder).await;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Without a runtime it expires.
        if let Ok(runtime) = Handle::try_current()
            && !self.given_back
        {
            let (pool, schema, holder) = (self.pool.clone(), self.schema.clone(), self.holder);
            runtime.spawn(async move { give_back(&pool, &schema, holder).await });
        }
    }
}

async fn give_back(pool: &PgPool, schema: &Schema, holder: Uuid) {
    if let Err(error) = write(pool, schema, GIVE_BACK, holder).await {
        tracing::warn!(target: "optilock::migrate", %error, "the lease was not given back and will expire");
    }
}

/// Returns whether the row was written.
async fn write(
    pool: &PgPool,
    schema: &Schema,
    statement: &'static str,
    holder: Uuid,
) -> Result<bool, MigrateError> {
    let written = transact_with(pool, &QUESTION, &OPTIONS, async |tx| {
        lift_limits(tx).await?;
        let written = sqlx::query(schema.statement(statement)).bind(holder);
        let written = written.execute(&mut **tx).await?;
        Ok::<_, MigrateError>(written.rows_affected() == 1)
    });
    written.await.map_err(|gave_up| gave_up.error)
}
