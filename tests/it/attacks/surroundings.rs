//! The table of surroundings. Each one is made, seen to act, and the operation held to its word.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use optilock::{
    Class,
    sqlx::{self, AssertSqlSafe},
};
use tokio::{task::JoinSet, time::timeout};

use super::{
    Answer, Bench, Cell, LIMIT,
    operations::{Effect, Operation},
    polled::Polled,
    runtimes::on_another_runtime,
};
use crate::{
    support::db::{assert_quiet, eventually, pool_options},
    support::proxy::Cut,
};

type Attack =
    for<'a> fn(&'a Bench, &'a Operation, &'a str) -> Pin<Box<dyn Future<Output = Cell> + 'a>>;

pub struct Surrounding {
    pub name: &'static str,
    pub attack: Attack,
}

macro_rules! surroundings {
    ($($name:literal: $attack:ident,)*) => {
        &[$(Surrounding {
            name: $name,
            attack: |bench, operation, cell| Box::pin($attack(bench, operation, cell)),
        },)*]
    };
}

pub const SURROUNDINGS: &[Surrounding] = surroundings! {
    "8 silence": silence,
    "9 cut": cut,
    "11 cancelled": cancelled,
    "12 no database": no_database,
    "12 read-only": read_only,
    "12 full": full,
    "13 dropped": dropped,
    "14 still": standing_still,
    "14 unwinding": unwinding,
    "15 pool of 1": pool_of_one,
    "15 crowd": crowd,
    "15 closed": closed,
    "15 hooks": hooks,
    "16 schema": schema,
};

/// The connection goes silent, the caller gives up: new connections work, and so must the pool.
async fn silence(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let (proxy, bench) = bench.proxied().await;
    // Prepared by now, so that the silence comes in the operation itself.
    bench.run(operation, cell).await;
    eventually("the connection is back", async || bench.pool.num_idle() > 0).await;
    proxy.silence();
    let id = bench.row(operation).await;
    let late = timeout(Duration::from_millis(50), (operation.run)(&bench, id)).await;
    assert!(late.is_err(), "{cell}: the silence was not met");
    bench.assert_true(operation, id, None, cell).await;
    let start = Instant::now();
    let answer = bench.run(operation, cell).await;
    assert!(
        matches!(answer, Answer::Done),
        "{cell}: {answer:?} afterwards"
    );
    assert!(start.elapsed() < Duration::from_secs(3), "{cell}: late");
    Cell::Held
}

/// The connection dies before each message reaches the server, and before each answer comes back.
async fn cut(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let (proxy, bench) = bench.proxied().await;
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Reply] {
        for message in 0.. {
            assert!(message < 100, "{cell}: never without a cut");
            bench.run(operation, cell).await; // every statement is prepared on some connection
            proxy.trap_after(message, cut.clone());
            bench
                .run(operation, &format!("{cell}, {cut:?} at message {message}"))
                .await;
            if proxy.disarm() {
                break; // it has fewer messages
            }
            cuts += 1;
        }
    }
    assert!(cuts >= 2, "{cell}: nothing was cut");
    Cell::Held
}

/// An administrator cancels the statement every time it appears, here while it waits for a lock.
async fn cancelled(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let waits = match operation.effect {
        Effect::Nothing => matches!(operation.name, "lock_in" | "assert_current_in"),
        Effect::Inserted => false,
        Effect::Written | Effect::Deleted => true,
    };
    if !waits {
        return Cell::CannotApply("it waits for no lock, so there is no time to cancel it in");
    }
    let id = bench.row(operation).await;
    let mut holder = bench.db.pool.begin().await.unwrap();
    let hold = "SELECT FROM bank.accounts WHERE id = $1 FOR UPDATE";
    sqlx::query(hold)
        .bind(id)
        .execute(&mut *holder)
        .await
        .unwrap();
    let mut work = std::pin::pin!(timeout(LIMIT, (operation.run)(bench, id)));
    let answer = loop {
        let cancel = sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'",
        );
        tokio::select! {
            biased;
            done = &mut work => break done.unwrap_or_else(|_| panic!("{cell}: it does not end")),
            hit = cancel.fetch_one(&bench.db.pool) => drop(hit.unwrap()),
        }
    };
    holder.rollback().await.unwrap();
    match &answer {
        Answer::NotDone { class, text } => {
            assert!(
                *class == Class::Permanent && text.contains("cancelled"),
                "{cell}: {text}"
            );
        }
        other => panic!("{cell}: {other:?}"),
    }
    bench.assert_true(operation, id, Some(&answer), cell).await;
    Cell::Held
}

async fn no_database(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let options = bench.db.database.options().database("no such database");
    let bench = bench.through(pool_options(2).connect_lazy_with(options));
    let start = Instant::now();
    match bench.run(operation, cell).await {
        Answer::NotDone { class, text } => {
            assert!(
                class == Class::Permanent && text.contains("no such database"),
                "{cell}: {text}"
            );
        }
        other => panic!("{cell}: {other:?}"),
    }
    assert!(start.elapsed() < Duration::from_secs(2), "{cell}: late");
    Cell::Held
}

/// As on a replica: reads work, and a write is refused and its connection closed.
async fn read_only(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let options = bench.db.database.options();
    let options = options.options([("default_transaction_read_only", "on")]);
    let pool = pool_options(2).connect_with(options).await.unwrap();
    let bench = bench.through(pool);
    let answer = bench.run(operation, cell).await;
    let reads = operation.effect == Effect::Nothing
        && !matches!(operation.name, "lock_in" | "assert_current_in");
    if reads {
        assert!(matches!(answer, Answer::Done), "{cell}: {answer:?}");
    } else {
        assert!(
            answer.is_refused(Class::Busy { retry_after: None }),
            "{cell}: {answer:?}"
        );
        assert_eq!(bench.pool.num_idle(), 0, "{cell}: the connection stays");
    }
    Cell::Held
}

/// A server that takes no further connection.
async fn full(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let role = format!("optilock_full_{:016x}", rand::random::<u64>());
    let make = format!("CREATE ROLE {role} LOGIN PASSWORD 'secret' CONNECTION LIMIT 0");
    sqlx::raw_sql(AssertSqlSafe(make))
        .execute(&bench.db.pool)
        .await
        .unwrap();
    let options = bench
        .db
        .database
        .options()
        .username(&role)
        .password("secret");
    let pool = pool_options(2)
        .acquire_timeout(Duration::from_millis(20))
        .connect_lazy_with(options);
    let answer = bench.through(pool).run(operation, cell).await;
    let drop = format!("DROP ROLE {role}");
    sqlx::raw_sql(AssertSqlSafe(drop))
        .execute(&bench.db.pool)
        .await
        .unwrap();
    assert!(
        answer.is_refused(Class::Busy { retry_after: None }),
        "{cell}: {answer:?}"
    );
    Cell::Held
}

/// The future is dropped after each of its polls: what the pool's only connection writes next is seen.
async fn dropped(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let pool = pool_options(1)
        .connect_with(bench.db.database.options())
        .await
        .unwrap();
    let bench = bench.through(pool);
    for polls in 1.. {
        assert!(polls < 200, "{cell}: it does not end");
        let id = bench.row(operation).await;
        let answer = Polled((operation.run)(&bench, id), polls).await;
        let cell = format!("{cell} after {polls} polls");
        bench
            .assert_true(operation, id, answer.as_ref(), &cell)
            .await;
        let next = bench.row(operation).await;
        let insert = "INSERT INTO bank.accounts (id, owner, cents) VALUES ($1, 'next', 1)";
        sqlx::query(insert)
            .bind(-next)
            .execute(&bench.pool)
            .await
            .unwrap();
        assert_eq!(
            bench.version(-next).await,
            Some(1),
            "{cell}: a poisoned pool"
        );
        if answer.is_some() {
            return Cell::Held;
        }
    }
    Cell::Held
}

/// `block_on` returns with the operation dropped midway or done, and its runtime is not driven any more.
async fn standing_still(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    for polls in [1, 2, 3, 5, 8, 13] {
        let id = bench.row(operation).await;
        let handle = tokio::runtime::Handle::current();
        let answer = on_another_runtime(bench.db.database.options(), |runtime, pool| {
            let own = bench.through(pool);
            let answer = runtime.block_on(Polled((operation.run)(&own, id), polls));
            // The runtime stands still here; what it left is looked at from outside.
            handle.block_on(assert_quiet(&bench.db.pool));
            answer
        })
        .unwrap();
        let cell = format!("{cell} after {polls} polls");
        bench
            .assert_true(operation, id, answer.as_ref(), &cell)
            .await;
    }
    Cell::Held
}

/// A runtime that unwinds while the operation runs in several of its tasks.
async fn unwinding(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    for polls in [1, 2, 4, 7] {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(bench.row(operation).await);
        }
        let unwound = on_another_runtime(bench.db.database.options(), |runtime, pool| {
            let own = bench.through(pool);
            runtime.block_on(async {
                let works = ids
                    .iter()
                    .map(|&id| Polled((operation.run)(&own, id), polls));
                let mut works: Vec<_> = works.collect();
                for work in &mut works {
                    let _answer = Pin::new(work).await;
                }
                // All of them are dropped by this, in the middle of what they do.
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        });
        assert!(unwound.is_err());
        for id in ids {
            bench.assert_true(operation, id, None, cell).await;
        }
    }
    Cell::Held
}

async fn pool_of_one(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let pool = pool_options(1)
        .connect_with(bench.db.database.options())
        .await
        .unwrap();
    let bench = bench.through(pool);
    for _ in 0..3 {
        let answer = bench.run(operation, cell).await;
        assert!(matches!(answer, Answer::Done), "{cell}: {answer:?}");
    }
    Cell::Held
}

/// 64 callers of a pool of 4.
async fn crowd(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let bench = Arc::new(bench.through(bench.pool.clone()));
    let mut callers = JoinSet::new();
    let run = operation.run;
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(bench.row(operation).await);
    }
    for id in ids.clone() {
        let bench = Arc::clone(&bench);
        callers.spawn(async move { timeout(LIMIT, run(&bench, id)).await });
    }
    for answer in callers.join_all().await {
        let answer = answer.unwrap_or_else(|_| panic!("{cell}: it does not end"));
        assert!(matches!(answer, Answer::Done), "{cell}: {answer:?}");
    }
    for id in ids {
        bench
            .assert_true(operation, id, Some(&Answer::Done), cell)
            .await;
    }
    Cell::Held
}

async fn closed(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let pool = pool_options(2)
        .connect_with(bench.db.database.options())
        .await
        .unwrap();
    let bench = bench.through(pool);
    bench.run(operation, cell).await;
    timeout(LIMIT, bench.pool.close())
        .await
        .unwrap_or_else(|_| panic!("{cell}: close() hangs"));
    let answer = bench.run(operation, cell).await;
    assert!(answer.is_refused(Class::Permanent), "{cell}: {answer:?}");
    Cell::Held
}

/// Hooks of the host's, and a backend that ended while its connection was idle.
async fn hooks(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    let asked = Arc::new(AtomicU32::new(0));
    let hook = Arc::clone(&asked);
    let pool = pool_options(1)
        .ping_after(Duration::ZERO)
        .before_acquire(move |_, _| {
            hook.fetch_add(1, SeqCst);
            Box::pin(async { Ok(true) })
        })
        .after_release(|_, _| Box::pin(async { Ok(true) }))
        .connect_with(bench.db.database.options())
        .await
        .unwrap();
    let bench = bench.through(pool);
    bench.run(operation, cell).await;
    let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    let others = &bench.db.pool;
    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(pid)
        .execute(others)
        .await
        .unwrap();
    eventually("the backend has ended", async || {
        let gone = "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)";
        sqlx::query_scalar(gone)
            .bind(pid)
            .fetch_one(others)
            .await
            .unwrap()
    })
    .await;
    let answer = bench.run(operation, cell).await;
    assert!(matches!(answer, Answer::Done), "{cell}: {answer:?}");
    assert!(asked.load(SeqCst) > 1);
    Cell::Held
}

/// Columns and types change under connections that have prepared their statements.
async fn schema(bench: &Bench, operation: &Operation, cell: &str) -> Cell {
    const CHANGES: [&str; 4] = [
        "ALTER TABLE bank.accounts ALTER COLUMN owner TYPE varchar(99)",
        "ALTER TABLE bank.accounts ADD COLUMN extra int",
        "CREATE INDEX extra ON bank.accounts (owner); DROP INDEX bank.extra",
        "ALTER TABLE bank.accounts ALTER COLUMN owner TYPE text, DROP COLUMN extra",
    ];
    let pool = pool_options(1)
        .connect_with(bench.db.database.options())
        .await
        .unwrap();
    let bench = bench.through(pool);
    for change in CHANGES {
        bench.run(operation, cell).await;
        sqlx::raw_sql(change).execute(&bench.db.pool).await.unwrap();
        let answer = bench.run(operation, cell).await;
        assert!(
            matches!(answer, Answer::Done),
            "{cell}, {change}: {answer:?}"
        );
    }
    Cell::Held
}
