//! How a transaction ends: committed as a whole, rolled back as a whole, or unknown; whatever its operation
//! did with the connection.

use std::{
    fmt::Debug,
    future::poll_fn,
    io::ErrorKind,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::Poll,
    time::Duration,
};

use optilock::{
    Class, Classify, RetryError, RetryPolicy, StopReason,
    inventory::{Accepted, BoxError, Inventory, OnAccepted, PgInventory, Strategy},
    postgres::{PoolOptions, Tx, transact},
    sqlx::{self, Connection, PgConnection, PgPool},
    with_retry,
};
use tracing::field::{Field, Visit};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::{
    support::db::{Db, assert_books, assert_quiet, eventually, pool_options},
    support::goods::{add, cart, stock_of},
};

const POLICY: RetryPolicy = RetryPolicy::new();

pub async fn with_notes() -> Db {
    let db = Db::empty().await;
    sqlx::raw_sql("CREATE TABLE public.notes (id bigserial PRIMARY KEY, text text NOT NULL)")
        .execute(&db.pool)
        .await
        .unwrap();
    db
}

pub async fn note(conn: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO public.notes (text) VALUES ($1)").bind(text);
    insert.execute(conn).await.map(drop)
}

pub async fn notes(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM public.notes ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

pub async fn raw(conn: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop)
}

/// Polls once, drops, and tells whether it was on its way.
async fn drop_on_its_way(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

/// Begins a savepoint and drops it on its way. The server is slow to answer, as a statement before it is;
/// otherwise it may have arrived at the first poll.
async fn drop_a_begin(tx: &mut Tx<'_>) {
    assert!(drop_on_its_way(raw(tx, "SELECT pg_sleep(0.05)")).await);
    assert!(drop_on_its_way(tx.begin()).await);
}

#[derive(Debug)]
enum AppError {
    Conflict,
    Charged,
    Database(
        #[expect(dead_code, reason = "shown by Debug")] sqlx::Error,
        Class,
    ),
}

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        let class = error.class();
        Self::Database(error, class)
    }
}

impl Classify for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Conflict => Class::Conflict,
            Self::Charged => Class::Unknown,
            Self::Database(_, class) => *class,
        }
    }
}

fn assert_unknown<E: Debug>(ended: Result<impl Debug, RetryError<E>>) {
    let unknown = ended.unwrap_err();
    assert_eq!(
        (unknown.attempts, unknown.reason, unknown.class()),
        (1, StopReason::Unknown, Class::Unknown),
        "{unknown:?}"
    );
}

/// Sqlx's guard of a dropped `begin` queues a ROLLBACK of the outer transaction, and
/// what follows commits directly.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_begin_is_unknown_and_not_repeated() {
    let db = with_notes().await;
    let ended = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        drop_a_begin(tx).await;
        note(tx, "after").await
    })
    .await;
    assert_unknown(ended);
    assert_eq!(notes(&db.pool).await, ["after"]);
    // A conflict after it: a second attempt would write what the first one stored.
    let ended: Result<(), _> = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        drop_a_begin(tx).await;
        note(tx, "after").await?;
        Err(AppError::Conflict)
    })
    .await;
    assert_unknown(ended);
    assert_eq!(notes(&db.pool).await, ["after", "after"]);
    assert_quiet(&db.pool).await;
}

/// A COMMIT in SQL, in each order in which an operation may end its transaction itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_in_sql_is_unknown_and_not_repeated() {
    const ENDINGS: [&[&str]; 8] = [
        &["COMMIT"],
        &["COMMIT", "BEGIN"],
        &["COMMIT", "BEGIN", "SELECT 1 / 0"],
        &["ROLLBACK"],
        &["ROLLBACK", "BEGIN"],
        &["ROLLBACK", "SELECT 1 / 0"],
        &["COMMIT AND CHAIN"],
        &["COMMIT", "SELECT 1 / 0"],
    ];
    let db = with_notes().await;
    for ending in ENDINGS {
        for fails in [false, true] {
            let ended = transact(&db.pool, &POLICY, async |tx| {
                note(tx, "before").await?;
                for &statement in ending {
                    let _swallowed = raw(tx, statement).await;
                }
                let _swallowed = note(tx, "after").await;
                if fails {
                    Err(AppError::Conflict)
                } else {
                    Ok(())
                }
            })
            .await;
            assert_unknown(ended);
        }
    }
    // No connection is left in a transaction, and what the next transaction says is true.
    transact(&db.pool, &POLICY, async |tx| note(tx, "last").await)
        .await
        .unwrap();
    assert_eq!(notes(&db.pool).await.last().unwrap(), "last");
    assert_quiet(&db.pool).await;
}

/// An error of the operation's own after a statement failed: the transaction can't be asked any more, and
/// was rolled back as a whole. Conflicts are tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_statement_is_rolled_back_as_a_whole() {
    let db = with_notes().await;
    let attempts = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "once").await?;
        if tx.attempt().number() < 3 {
            let _swallowed = raw(tx, "SELECT 1 / 0").await;
            return Err(AppError::Conflict);
        }
        Ok(tx.attempt().number())
    })
    .await
    .unwrap();
    assert_eq!(
        (attempts, notes(&db.pool).await),
        (3, vec!["once".to_owned()])
    );
    assert_quiet(&db.pool).await;
}

/// `SET CONSTRAINTS ALL DEFERRED` before COMMIT would change what a host's deferred
/// trigger sees.
#[tokio::test(flavor = "multi_thread")]
async fn a_deferred_trigger_sees_constraints_as_they_are() {
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

/// Every event of the level WARN or above that sqlx passes on from the server.
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

/// A committed transaction counts no rollback on the server, and leaves no warning in its
/// log.
#[test]
fn a_thousand_commits_count_no_rollback() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
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
        let pool = pool_options(4)
            .connect_with(db.database.options())
            .await
            .unwrap();
        for _ in 0..1_000 {
            transact(&pool, &POLICY, async |tx| note(tx, "noted").await)
                .await
                .unwrap();
        }
        pool.close().await; // a session's figures are complete when it has ended
        eventually("a thousand commits are counted", async || {
            ended().await.0 >= committed + 1_000
        })
        .await;
        assert_eq!(ended().await.1, rolled_back);
    });
    assert_eq!(*warnings.0.lock().unwrap(), [""; 0]);
}

/// On a runtime that stands still after `block_on`, no session stays in a transaction,
/// committed, failed or dropped.
#[test]
fn a_runtime_that_stands_still_leaves_no_transaction_open() {
    let standing = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let observing = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let db = observing.block_on(with_notes());
    let options = db.database.options();
    let pool = standing.block_on(async { pool_options(4).connect_with(options).await.unwrap() });
    for kind in ["committed", "failed", "dropped"] {
        standing.block_on(async {
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
        // `standing` is not driven from here on.
        observing.block_on(assert_quiet(&db.pool));
    }
    assert_eq!(observing.block_on(notes(&db.pool)), ["committed"]);
    drop(standing);
}

/// What the host says of itself is not downgraded.
#[tokio::test(flavor = "multi_thread")]
async fn the_hosts_own_unknown_is_not_repeated() {
    let db = with_notes().await;
    let charges = Mutex::new(0);
    let ended: Result<(), _> = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "paid").await?;
        *charges.lock().unwrap() += 1;
        Err(AppError::Charged)
    })
    .await;
    assert_unknown(ended);
    assert_eq!(*charges.lock().unwrap(), 1);
    assert_eq!(
        notes(&db.pool).await,
        [""; 0],
        "its own rows are rolled back"
    );
    assert_quiet(&db.pool).await;
}

/// A hook that charges a card elsewhere, without an answer.
#[derive(Debug, Default)]
struct Charge(AtomicU32);

#[async_trait::async_trait]
impl OnAccepted for Charge {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        self.0.fetch_add(1, SeqCst);
        let answer: Result<(), _> = with_retry(&POLICY, async |_| {
            Err(sqlx::Error::Io(ErrorKind::TimedOut.into()))
        })
        .await;
        Ok(answer?)
    }
}

/// By a hook: the sale is undone, and the card is charged once at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_hooks_own_unknown_is_not_repeated() {
    let db = Db::new().await;
    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let charge = Arc::new(Charge::default());
        let shop = PgInventory::new(db.pool.clone())
            .with_strategy(strategy)
            .with_hook(Arc::clone(&charge) as Arc<dyn OnAccepted>);
        let name = format!("pot-{strategy:?}");
        add(&shop, &name, 5).await;
        let refused = shop.checkout(cart(&[(&name, 1)])).await.unwrap_err();
        assert!(refused.is_unknown() && !refused.is_busy(), "{refused:?}");
        assert_eq!((refused.code(), refused.http_status()), ("hook", 503));
        assert_eq!(charge.0.load(SeqCst), 1, "{strategy:?}");
        assert_eq!(stock_of(&shop, &name).await, 5);
    }
    assert_books(&db.pool).await;
}

/// A hook that commits the sale itself, and then refuses it.
#[derive(Debug)]
struct CommitsAndRefuses;

#[async_trait::async_trait]
impl OnAccepted for CommitsAndRefuses {
    async fn on_accepted(&self, conn: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        raw(conn, "COMMIT").await?;
        Err("refused".into())
    }
}

/// The sale stands: it is not denied for what the hook says.
#[tokio::test(flavor = "multi_thread")]
async fn a_sale_that_its_hook_committed_is_not_denied() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_hook(Arc::new(CommitsAndRefuses));
    add(&shop, "pot", 5).await;
    let request = cart(&[("pot", 1)]);
    let order = shop.checkout(request).await.unwrap();
    assert!(order.replayed);
    assert_eq!(stock_of(&shop, "pot").await, 4);
    assert_books(&db.pool).await;
}

/// A connection that is lost inside the operation: of this transaction nothing was committed, of another
/// connection's write that is not known.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_lost_inside_is_judged_by_whose_it_is() {
    let db = with_notes().await;
    let other = PoolOptions::new()
        .max_connections(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let kill = async |victim: &mut PgConnection| -> Result<(), sqlx::Error> {
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut *victim)
            .await?;
        sqlx::query("SELECT pg_terminate_backend($1)")
            .bind(pid)
            .execute(&db.pool)
            .await?;
        // Until the server has ended it.
        loop {
            sqlx::query("SELECT 1").execute(&mut *victim).await?;
        }
    };
    let attempts = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "own").await?;
        if tx.attempt().number() == 1 {
            kill(tx).await?;
        }
        Ok::<_, sqlx::Error>(tx.attempt().number())
    })
    .await;
    assert_eq!(attempts.unwrap(), 2);
    let ended = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "other").await?;
        kill(&mut *other.acquire().await?).await
    })
    .await;
    assert_unknown(ended);
    assert_eq!(notes(&db.pool).await, ["own"]);
    assert_quiet(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_savepoint_undoes_its_own_statements() {
    let db = with_notes().await;
    transact(&db.pool, &POLICY, async |tx| {
        note(tx, "first").await?;
        let refused: Result<(), sqlx::Error> = tx
            .savepoint(async |tx| {
                note(tx, "undone").await?;
                raw(tx, "SELECT 1 / 0").await
            })
            .await;
        assert!(refused.is_err());
        let swallowed: Result<(), sqlx::Error> = tx
            .savepoint(async |tx| {
                note(tx, "undone too").await?;
                let _swallowed = raw(tx, "SELECT 1 / 0").await;
                Ok(())
            })
            .await;
        assert_eq!(
            swallowed
                .unwrap_err()
                .as_database_error()
                .unwrap()
                .code()
                .unwrap(),
            "25P02"
        );
        tx.savepoint(async |tx| {
            note(tx, "second").await?;
            let inner: Result<(), sqlx::Error> = tx
                .savepoint(async |tx| {
                    note(tx, "undone inside").await?;
                    Err(sqlx::Error::RowNotFound)
                })
                .await;
            assert!(inner.is_err());
            // sqlx's own is one level deeper.
            let mut nested = tx.begin().await?;
            note(&mut nested, "third").await?;
            nested.commit().await
        })
        .await?;
        note(tx, "last").await
    })
    .await
    .unwrap();
    assert_eq!(notes(&db.pool).await, ["first", "second", "third", "last"]);
    assert_quiet(&db.pool).await;
}

/// A savepoint dropped after each of its polls: with its statements the transaction is committed, or the
/// whole of it is rolled back.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_savepoint_leaves_the_transaction_whole() {
    async fn inside(tx: &mut Tx<'_>) -> Result<(), sqlx::Error> {
        note(tx, "inside").await?;
        note(tx, "inside").await
    }
    let db = with_notes().await;
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    for polls in 1.. {
        assert!(polls < 100, "a savepoint never ends");
        sqlx::raw_sql("TRUNCATE public.notes")
            .execute(&db.pool)
            .await
            .unwrap();
        let finished = Mutex::new(false);
        let ended = transact(&pool, &POLICY, async |tx| {
            note(tx, "before").await?;
            {
                let mut savepoint = pin!(tx.savepoint(async |tx| inside(tx).await));
                let mut left = polls;
                let outcome = poll_fn(|context| match savepoint.as_mut().poll(context) {
                    Poll::Ready(done) => Poll::Ready(Some(done)),
                    Poll::Pending => {
                        left -= 1;
                        if left == 0 {
                            Poll::Ready(None)
                        } else {
                            Poll::Pending
                        }
                    }
                })
                .await;
                *finished.lock().unwrap() = outcome.transpose()?.is_some();
            }
            note(tx, "after").await
        })
        .await;
        let stored = notes(&db.pool).await;
        match (*finished.lock().unwrap(), ended) {
            (true, ended) => {
                ended.unwrap();
                assert_eq!(stored, ["before", "inside", "inside", "after"]);
                break;
            }
            // SAVEPOINT itself was on its way: nothing was inside yet.
            (false, Ok(())) => assert_eq!(stored, ["before", "after"], "{polls} polls"),
            (false, Err(error)) => {
                assert_eq!(
                    error.reason,
                    StopReason::Permanent,
                    "{polls} polls: {error:?}"
                );
                assert_eq!(stored, [""; 0], "{polls} polls");
            }
        }
    }
    assert_quiet(&db.pool).await;
}

/// A nested transaction of sqlx's that is forgotten: its COMMIT would only release a savepoint.
#[tokio::test(flavor = "multi_thread")]
async fn a_leaked_savepoint_rolls_back_the_whole() {
    let db = with_notes().await;
    let ended = transact(&db.pool, &POLICY, async |tx| {
        note(tx, "before").await?;
        std::mem::forget(tx.begin().await?);
        note(tx, "after").await
    })
    .await
    .unwrap_err();
    assert_eq!(ended.reason, StopReason::Permanent, "{ended:?}");
    assert_quiet(&db.pool).await;
    assert_eq!(notes(&db.pool).await, [""; 0]);
}

/// `?` keeps what is known of the outcome, whichever error it leads to.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_mark_keeps_the_outcome() {
    use optilock::{inventory, postgres::Error};
    type BoxError = Box<dyn std::error::Error + Send + Sync>;
    // A host's error that says of every loss of a connection that nothing happened.
    #[derive(Debug)]
    enum Shop {
        Busy,
        Unknown(#[expect(dead_code, reason = "shown by Debug")] Box<RetryError<Shop>>),
    }
    impl From<sqlx::Error> for Shop {
        fn from(_: sqlx::Error) -> Self {
            Self::Busy
        }
    }
    impl Classify for Shop {
        fn class(&self) -> Class {
            match self {
                Self::Busy => Class::Busy { retry_after: None },
                Self::Unknown(_) => Class::Unknown,
            }
        }
    }
    impl From<RetryError<Shop>> for Shop {
        fn from(gave_up: RetryError<Shop>) -> Self {
            let known = gave_up.try_into_inner();
            known.unwrap_or_else(|unknown| Self::Unknown(Box::new(unknown)))
        }
    }
    async fn run<E>(pool: &PgPool) -> Result<(), RetryError<E>>
    where
        E: From<sqlx::Error> + Classify + Send,
    {
        let once = POLICY.with_max_attempts(1);
        transact(pool, &once, async |tx| {
            note(tx, "noted").await.map_err(E::from)
        })
        .await
    }
    async fn shop(pool: &PgPool) -> Result<(), Shop> {
        Ok(run::<Shop>(pool).await?)
    }
    async fn rows(pool: &PgPool) -> Result<(), Error> {
        Ok(run::<Error>(pool).await?)
    }
    async fn sqlx_in_rows(pool: &PgPool) -> Result<(), Error> {
        Ok(run::<sqlx::Error>(pool).await?)
    }
    async fn inventory(pool: &PgPool) -> Result<(), inventory::Error> {
        Ok(run::<inventory::Error>(pool).await?)
    }
    async fn rows_in_inventory(pool: &PgPool) -> Result<(), inventory::Error> {
        Ok(run::<Error>(pool).await?)
    }
    async fn sqlx_in_inventory(pool: &PgPool) -> Result<(), inventory::Error> {
        Ok(run::<sqlx::Error>(pool).await?)
    }
    async fn anyhow(pool: &PgPool) -> anyhow::Result<()> {
        Ok(run::<anyhow::Error>(pool).await?)
    }
    async fn boxed(pool: &PgPool) -> Result<(), BoxError> {
        Ok(run::<BoxError>(pool).await?)
    }
    async fn sqlx_boxed(pool: &PgPool) -> Result<(), BoxError> {
        Ok(run::<sqlx::Error>(pool).await?)
    }

    let db = with_notes().await;
    let proxy = crate::support::proxy::Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    let classes = async |needle: &'static [u8], cut: crate::support::proxy::Cut| {
        let mut found = Vec::new();
        macro_rules! class_of {
            ($($function:ident)*) => {$(
                proxy.trap(needle, cut.clone());
                let error = $function(&pool).await.unwrap_err();
                assert!(!proxy.disarm(), "{}", stringify!($function));
                found.push((stringify!($function), error.class()));
            )*};
        }
        class_of!(shop rows sqlx_in_rows inventory rows_in_inventory sqlx_in_inventory anyhow boxed sqlx_boxed);
        found
    };
    for cut in [
        crate::support::proxy::Cut::Before,
        crate::support::proxy::Cut::Reply,
    ] {
        for (function, class) in classes(b"COMMIT\0", cut).await {
            assert_eq!(class, Class::Unknown, "{function}");
        }
    }
    // Before COMMIT it is known that nothing happened. What gave up is not tried again by a retry around.
    for (function, class) in classes(b"noted", crate::support::proxy::Cut::Before).await {
        let expected = match function {
            "shop" | "rows" | "sqlx_in_rows" => Class::Busy { retry_after: None },
            _ => Class::Permanent,
        };
        assert_eq!(class, expected, "{function}");
    }
    assert_quiet(&db.pool).await;
}
