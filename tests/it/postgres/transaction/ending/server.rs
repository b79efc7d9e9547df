//! What the server sees of the end of a transaction.

use std::{
    fmt::Debug,
    sync::{Arc, Mutex},
    time::Duration,
};

use optilock::{postgres::transact, sqlx};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::POLICY;
use crate::support::{
    connect::{current_thread, pool_of},
    db::{assert_idle, eventually},
    notes::{note, notes, raw, with_notes},
};

/// `SET CONSTRAINTS ALL DEFERRED` before COMMIT would change what a deferred trigger of the host sees.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_trigger_sees_unchanged_constraint_modes() {
    let db = with_notes().await;
    sqlx::raw_sql(
        "CREATE TABLE public.taken (n int UNIQUE DEFERRABLE INITIALLY IMMEDIATE);
         INSERT INTO public.taken VALUES (1);
         CREATE FUNCTION public.take() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.taken VALUES (1);
             RETURN NULL;
         EXCEPTION WHEN unique_violation THEN
             RETURN NULL;
         END $$;
         CREATE CONSTRAINT TRIGGER take AFTER INSERT ON public.notes DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.take()",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    transact(&db.pool, &POLICY, async |tx| note(tx, "noted").await)
        .await
        .unwrap();
    assert_eq!(notes(&db.pool).await, ["noted"]);
}

/// The server's notices of level WARN or above that sqlx logs.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl<S: tracing::Subscriber> Layer<S> for Warnings {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Text(String);
        impl Visit for Text {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                self.0 += &format!("{field}={value:?} ");
            }
        }
        let about = event.metadata();
        if about.target() == "sqlx::postgres::notice" && *about.level() <= tracing::Level::WARN {
            let mut text = Text(String::new());
            event.record(&mut text);
            self.0.lock().unwrap().push(text.0);
        }
    }
}

/// A committed transaction counts no rollback on the server and leaves no warning in its log.
#[test]
fn a_thousand_commits_count_no_rollback() {
    let runtime = current_thread();
    let warnings = Warnings::default();
    let subscriber = tracing_subscriber::registry().with(warnings.clone());
    let _guard = tracing::subscriber::set_default(subscriber);
    runtime.block_on(async {
        let db = with_notes().await;
        let ended = async || -> (i64, i64) {
            sqlx::query_as(
                "SELECT xact_commit, xact_rollback FROM pg_stat_database
                 WHERE datname = current_database()",
            )
            .fetch_one(&db.pool)
            .await
            .unwrap()
        };
        let (committed, rolled_back) = ended().await;
        let pool = pool_of(&db, 4).await;
        for _ in 0..1_000 {
            transact(&pool, &POLICY, async |tx| note(tx, "noted").await)
                .await
                .unwrap();
        }
        pool.close().await; // a session's counters are complete when it has ended
        eventually("a thousand commits are counted", async || {
            ended().await.0 >= committed + 1_000
        })
        .await;
        assert_eq!(ended().await.1, rolled_back);
    });
    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
}

/// A runtime that is not driven after `block_on` leaves no session in a transaction, whether the transaction
/// was committed, failed or was dropped.
#[test]
fn an_idle_runtime_leaves_no_transaction_open() {
    let (working, observing) = (current_thread(), current_thread());
    let db = observing.block_on(with_notes());
    let pool = working.block_on(pool_of(&db, 4));
    for kind in ["committed", "failed", "dropped"] {
        working.block_on(async {
            let run = transact(&pool, &POLICY, async |tx| {
                note(tx, kind).await?;
                match kind {
                    "committed" => Ok(()),
                    "failed" => Err(sqlx::Error::RowNotFound),
                    _ => raw(tx, "SELECT pg_sleep(0.2)").await,
                }
            });
            let ended = tokio::time::timeout(Duration::from_millis(100), run).await;
            assert_eq!(ended.is_err(), kind == "dropped");
        });
        // `working` is not driven meanwhile.
        observing.block_on(assert_idle(&db.pool));
    }
    assert_eq!(observing.block_on(notes(&db.pool)), ["committed"]);
    drop(working);
}
