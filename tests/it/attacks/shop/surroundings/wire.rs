//! 8: the connection goes silent. 9: it dies at each message. 10: the server ends the session. 11: an
//! administrator cancels. 12: the server does not let it in, or only reads, or is full.

use std::time::{Duration, Instant};

use optilock::{
    Class,
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::{
    Answer, Bench, Cell, Subject,
    holder::{Holder, Met, behind},
};
use crate::{
    support::db::{eventually, pool_options, with_role},
    support::proxy::Cut,
};

/// The connection goes silent, the caller gives up: new connections work, and so must the pool.
pub async fn silence(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    for _ in 0..5 {
        let (proxy, own) = bench.proxied(2).await;
        // Prepared by now, so that the silence comes in the operation itself.
        own.run_well(subject, cell).await;
        // A clean-up may have taken a second one; a single one is there to go silent.
        let (kept, other) = (
            own.pool.acquire().await.unwrap(),
            own.pool.acquire().await.unwrap(),
        );
        other.close().await.unwrap();
        drop(kept);
        eventually("the connection is back", async || own.pool.num_idle() > 0).await;
        proxy.silence();
        let made = own.case(subject).await;
        let limit = Duration::from_millis(50);
        let answer = timeout(limit, own.attempt(subject, &made.0, cell))
            .await
            .ok();
        own.judge(subject, &made, answer.as_ref(), cell).await;
        if answer.is_some() {
            continue; // the pool found out before the operation did
        }
        let start = Instant::now();
        own.run_well(subject, &format!("{cell}, afterwards")).await;
        assert!(start.elapsed() < Duration::from_secs(4), "{cell}: late");
        return Cell::Held;
    }
    panic!("{cell}: the silence was not met");
}

/// The connection dies before each message reaches the server, and before each answer comes back.
pub async fn cut(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let (proxy, bench) = bench.proxied(4).await;
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Reply] {
        for message in 0.. {
            assert!(message < 100, "{cell}: never without a cut");
            proxy.trap_after(message, cut.clone());
            let cell = format!("{cell}, {cut:?} at message {message}");
            let made = bench.case(subject).await;
            let answer = bench.attempt(subject, &made.0, &cell).await;
            // A clean-up counts what its last attempt did.
            let known = Some(&answer).filter(|it| !matches!(it, Answer::Nothing));
            bench.judge(subject, &made, known, &cell).await;
            if proxy.disarm() {
                break; // it has fewer messages
            }
            cuts += 1;
            let class = answer.class();
            let fits = match &answer {
                // Its first attempt may have done it.
                Answer::Nothing => subject.operation.is_cleanup(),
                Answer::Done | Answer::Unknown(_) => true,
                Answer::NotDone(_) => matches!(class, Some(Class::Busy { .. })),
            };
            assert!(fits, "{cell}: {answer:?}");
        }
    }
    assert!(cuts >= 2, "{cell}: nothing was cut");
    Cell::Held
}

async fn end_waiting(pool: &PgPool, how: &'static str) -> i64 {
    let end = match how {
        "cancel" => {
            "SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'"
        }
        _ => {
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'"
        }
    };
    sqlx::query_scalar(end).fetch_one(pool).await.unwrap()
}

/// The session is ended while the operation waits; every table is held, so that each one does.
pub async fn terminated(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let own = bench.with_settings(2, &[]).await;
    let made = own.case(subject).await;
    let holder = Holder::of_tables(&own).await;
    let meanwhile = async {
        assert!(end_waiting(&own.db.pool, "terminate").await > 0, "{cell}");
    };
    let met = behind(&own, subject, &made.0, cell, holder, meanwhile).await;
    let Met::Waited(answer) = met else {
        panic!("{cell}: it did not wait: {:?}", met.answer());
    };
    own.judge(subject, &made, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    Cell::Held
}

/// An administrator cancels the statement every time it appears.
pub async fn cancelled(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let made = bench.case(subject).await;
    let holder = Holder::of_tables(bench).await;
    let meanwhile = async {
        loop {
            end_waiting(&bench.db.pool, "cancel").await;
        }
    };
    let met = behind(bench, subject, &made.0, cell, holder, meanwhile).await;
    let Met::GaveUp(answer) = met else {
        panic!("{cell}: it was not cancelled: {:?}", met.answer());
    };
    bench.judge(subject, &made, Some(&answer), cell).await;
    let diagnosed = answer.is_refused("database")
        && answer.class() == Some(Class::Permanent)
        && answer.text().contains("cancelled");
    assert!(diagnosed, "{cell}: {answer:?}");
    Cell::Held
}

pub async fn wrong_password(_: &Bench, _: &Subject, _: &str) -> Cell {
    Cell::CannotApply("the tests' own server trusts every login; a missing role is refused alike")
}

pub async fn no_role(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let options = bench.db.database.options().username("no such role");
    not_let_in(
        bench,
        subject,
        cell,
        pool_options(2).connect_lazy_with(options),
        "role",
    )
    .await
}

pub async fn no_database(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let options = bench.db.database.options().database("no such database");
    let pool = pool_options(2).connect_lazy_with(options);
    not_let_in(bench, subject, cell, pool, "no such database").await
}

async fn not_let_in(
    bench: &Bench,
    subject: &Subject,
    cell: &str,
    pool: PgPool,
    word: &str,
) -> Cell {
    let own = bench.through(pool);
    let start = Instant::now();
    let answer = own.run(subject, cell).await;
    let diagnosed = answer.is_refused("database")
        && answer.class() == Some(Class::Permanent)
        && answer.text().contains(word);
    assert!(diagnosed, "{cell}: {answer:?}");
    assert!(start.elapsed() < Duration::from_secs(2), "{cell}: late");
    Cell::Held
}

/// As on a replica: reads work, and a write is refused and its connection closed.
pub async fn read_only(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let setting = [("default_transaction_read_only", "on")];
    let own = bench.with_settings(2, &setting).await;
    if !subject.operation.writes() {
        own.run_well(subject, cell).await;
        return Cell::Held;
    }
    let answer = own.run(subject, cell).await;
    let diagnosed = answer.is_refused("busy") && matches!(answer.class(), Some(Class::Busy { .. }));
    assert!(diagnosed, "{cell}: {answer:?}");
    assert_eq!(own.pool.num_idle(), 0, "{cell}: the connection stays");
    Cell::Held
}

/// A server that takes no further connection.
pub async fn full(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    with_role(&bench.db.pool, async |role| {
        let limit = format!("ALTER ROLE {role} CONNECTION LIMIT 0");
        let limit = sqlx::AssertSqlSafe(limit);
        sqlx::raw_sql(limit).execute(&bench.db.pool).await.unwrap();
        let options = bench.db.database.options();
        let options = options.username(role).password("secret");
        let pool = pool_options(2)
            .acquire_timeout(Duration::from_millis(20))
            .connect_lazy_with(options);
        let answer = bench.through(pool).run(subject, cell).await;
        let diagnosed =
            answer.is_refused("busy") && matches!(answer.class(), Some(Class::Busy { .. }));
        assert!(diagnosed, "{cell}: {answer:?}");
    })
    .await;
    Cell::Held
}
