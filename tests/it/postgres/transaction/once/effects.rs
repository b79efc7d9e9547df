//! A table of effects, which nothing keeps unique.

use optilock::{
    RetryError, RetryPolicy,
    postgres::{Error, KeyTable, Once, OnceOptions, Tx, create_key_table, transact_once_with},
    sqlx::{self, PgPool},
};

use crate::support::{
    db::{Db, Default as Level},
    triggers::run,
};

/// A policy with short delays, for many lost connections.
pub const QUICK: RetryPolicy = RetryPolicy::new()
    .with_base_delay(std::time::Duration::from_millis(1))
    .with_deadline(None);

pub const ONE_ATTEMPT: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// What identifies a request in these tests, apart from its key.
pub const REQUEST: &[u8] = b"request";

pub type Answer<T = u32> = Result<Once<T>, RetryError<Error>>;

/// Creates a database with the table of effects and the table of keys.
pub async fn with_effects() -> Db {
    with_effects_at(Level::ReadCommitted).await
}

/// Creates the same with a default isolation level.
pub async fn with_effects_at(level: Level) -> Db {
    let db = Db::empty_with(level, 16).await;
    run(&db.pool, "CREATE TABLE public.effects (key text NOT NULL)").await;
    create_key_table(&db.pool, &KeyTable::default())
        .await
        .unwrap();
    db
}

/// Takes effect, and returns the number of the attempt.
pub async fn take_effect(tx: &mut Tx<'_>, key: &str) -> Result<u32, Error> {
    sqlx::query("INSERT INTO public.effects (key) VALUES ($1)")
        .bind(key)
        .execute(&mut **tx)
        .await?;
    Ok(tx.attempt().number())
}

/// Takes effect once for this key.
pub async fn once(pool: &PgPool, policy: &RetryPolicy, key: &str) -> Answer {
    once_with(pool, policy, &OnceOptions::new(), key).await
}

pub async fn once_with(
    pool: &PgPool,
    policy: &RetryPolicy,
    options: &OnceOptions,
    key: &str,
) -> Answer {
    transact_once_with(pool, policy, options, key, REQUEST, async |tx| {
        take_effect(tx, key).await
    })
    .await
}

/// Returns the number of effects of this key.
pub async fn effects(pool: &PgPool, key: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM public.effects WHERE key = $1")
        .bind(key)
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Returns the number of stored keys of this name in the default table.
pub async fn keys(pool: &PgPool, key: &str) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM optilock.once_keys WHERE key = $1")
        .bind(key)
        .fetch_one(pool)
        .await
        .unwrap()
}
