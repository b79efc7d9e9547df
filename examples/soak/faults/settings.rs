//! The role of the clients gets other defaults, which new connections have.

use std::time::Duration;

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tokio::time::sleep;

use crate::{BoxError, stage::Stage};

/// Undoes every change of the role.
pub(crate) const RESET: &str = "ALTER ROLE soak_shop LOGIN; ALTER ROLE soak_shop RESET ALL";

/// The most sessions that a change ends, so that new ones have the new defaults.
const ALL: i64 = 1_000;

pub(super) async fn isolation(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let levels = ["read committed", "repeatable read", "serializable"];
    let level = levels.choose(random).expect("not empty");
    let set = format!("ALTER ROLE soak_shop SET default_transaction_isolation = '{level}'");
    stage.run(set).await?;
    stage.terminate(ALL).await?;
    Ok(1)
}

pub(super) async fn timeouts(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    const SETS: [&str; 4] = [
        "ALTER ROLE soak_shop SET lock_timeout = '100ms'",
        "ALTER ROLE soak_shop SET statement_timeout = '300ms'",
        "ALTER ROLE soak_shop SET idle_in_transaction_session_timeout = '100ms'",
        "ALTER ROLE soak_shop RESET lock_timeout; ALTER ROLE soak_shop RESET statement_timeout;
            ALTER ROLE soak_shop RESET idle_in_transaction_session_timeout",
    ];
    stage.run(*SETS.choose(random).expect("not empty")).await?;
    stage.terminate(ALL).await?;
    Ok(1)
}

pub(super) async fn logins(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let (set, reset) = ("NOLOGIN", "LOGIN");
    meanwhile(stage, random, set, reset).await
}

pub(super) async fn read_only(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    let set = "SET default_transaction_read_only = on";
    meanwhile(stage, random, set, "RESET default_transaction_read_only").await
}

/// Functions and a table of the host's come before those of the server and the crate.
pub(super) async fn names(stage: &Stage, random: &mut StdRng) -> Result<u64, BoxError> {
    const CREATE: &str = "CREATE OR REPLACE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql
            AS $$ SELECT timestamptz '1999-01-01' $$;
        CREATE OR REPLACE FUNCTION public.cardinality(anyarray) RETURNS integer LANGUAGE sql AS $$ SELECT 0 $$;
        CREATE OR REPLACE FUNCTION public.count(bigint) RETURNS bigint LANGUAGE sql AS $$ SELECT 0::bigint $$;
        CREATE TABLE IF NOT EXISTS public.products (sku text);
        GRANT ALL ON public.products TO soak_shop";
    stage.run(CREATE).await?;
    let set = "SET search_path = public, pg_catalog";
    meanwhile(stage, random, set, "RESET search_path").await
}

/// Changes the role for up to a second, and ends its sessions at the beginning and at the end. Returns how many it
/// ended at the beginning.
async fn meanwhile(
    stage: &Stage,
    random: &mut StdRng,
    set: &str,
    reset: &str,
) -> Result<u64, BoxError> {
    const TRIES: u32 = 100;
    stage.run(format!("ALTER ROLE soak_shop {set}")).await?;
    let ended = stage.terminate(ALL).await;
    sleep(Duration::from_millis(random.random_range(100..1_000))).await;
    for _ in 0..TRIES {
        let undone = stage.run(format!("ALTER ROLE soak_shop {reset}")).await;
        if undone.is_ok() && stage.terminate(ALL).await.is_ok() {
            break;
        }
        // The server is down, or another fault changes the role.
        sleep(Duration::from_millis(50)).await;
    }
    ended
}
