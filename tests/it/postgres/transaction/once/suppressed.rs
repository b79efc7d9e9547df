//! Triggers and policies that keep a key, or its answer, from being stored.

use optilock::{
    StopReason,
    postgres::{Error, ErrorKind, OnceOptions, transact_once_answer},
};

use super::effects::{QUICK, REQUEST, effects, once, once_with, take_effect, with_effects};
use crate::support::{
    db::{assert_idle, pool_options, with_role},
    triggers::run,
};

fn assert_suppressed(error: &Error, how: &str) {
    assert_eq!(error.kind(), ErrorKind::Suppressed, "{how}: {error}");
    assert_eq!(
        (error.entity(), error.id()),
        (Some("idempotency key"), Some("k")),
        "{how}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_trigger_does_not_let_in_is_suppressed() {
    let db = with_effects().await;
    for how in [
        "RETURN NULL;",
        "NEW.fingerprint := ''; RETURN NEW;",
        "NEW.key := 'x'; RETURN NEW;",
        "NEW.call := 1; RETURN NEW;",
    ] {
        let trigger = format!(
            "CREATE OR REPLACE FUNCTION public.tamper() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {} END';
             CREATE OR REPLACE TRIGGER tamper BEFORE INSERT ON optilock.once_keys
                 FOR EACH ROW EXECUTE FUNCTION public.tamper()",
            how.replace('\'', "''")
        );
        run(&db.pool, trigger).await;
        let refused = once(&db.pool, &QUICK, "k").await.unwrap_err();
        assert_eq!(
            (refused.reason, refused.attempts),
            (StopReason::Permanent, 1),
            "{how}"
        );
        assert_suppressed(&refused.error, how);
        assert_eq!(effects(&db.pool, "k").await, 0, "{how}");
    }
    assert_idle(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_a_trigger_does_not_let_in_is_suppressed() {
    let db = with_effects().await;
    run(
        &db.pool,
        "CREATE FUNCTION public.tamper() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER tamper BEFORE UPDATE ON optilock.once_keys
             FOR EACH ROW EXECUTE FUNCTION public.tamper()",
    )
    .await;
    let refused = transact_once_answer(&db.pool, &QUICK, "k", REQUEST, async |tx| {
        take_effect(tx, "k").await
    })
    .await;
    assert_suppressed(&refused.unwrap_err().error, "answer");
    assert_eq!(effects(&db.pool, "k").await, 0);
}

/// A role that may insert keys and sees none can't know whether its key is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_a_policy_hides_is_refused() {
    let db = with_effects().await;
    once(&db.pool, &QUICK, "k").await.unwrap();
    with_role(&db.pool, async |role| {
        let hide = format!(
            "GRANT USAGE ON SCHEMA optilock, public TO {role};
             GRANT SELECT, INSERT, UPDATE ON optilock.once_keys TO {role};
             GRANT SELECT, INSERT ON public.effects TO {role};
             ALTER TABLE optilock.once_keys ENABLE ROW LEVEL SECURITY;
             CREATE POLICY adding ON optilock.once_keys FOR INSERT WITH CHECK (true);
             CREATE POLICY own ON optilock.once_keys FOR SELECT USING (key <> 'k')"
        );
        run(&db.pool, hide).await;
        let options = db.database.options().username(role).password("secret");
        let own = pool_options(2).connect_with(options).await.unwrap();
        let refused = once_with(&own, &QUICK, &OnceOptions::new(), "k")
            .await
            .unwrap_err();
        assert_eq!(refused.reason, StopReason::Permanent, "{refused}");
        assert_eq!(effects(&db.pool, "k").await, 1);
        own.close().await;
    })
    .await;
}
