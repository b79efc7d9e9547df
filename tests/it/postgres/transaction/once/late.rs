//! Messages of an attempt that arrive late, while the next attempt runs or after it.

use std::{sync::Arc, time::Duration};

use optilock::{
    Class, Classify, StopReason,
    postgres::{Error, Once, OnceOptions, TransactOptions, transact_once},
    sqlx::{self, PgPool},
};
use tokio::{sync::Notify, task::JoinHandle};

use super::effects::{
    Answer, QUICK, REQUEST, effects, keys, once, once_with, take_effect, with_effects,
};
use crate::support::{
    bank::until_waiting,
    db::{Db, assert_idle, eventually, sessions_waiting},
    proxy::{Cut, Proxy},
};

/// A message that is held back.
struct Held {
    release: Arc<Notify>,
    arrived: Arc<Notify>,
}

impl Held {
    fn new() -> (Self, Cut) {
        let (release, arrived) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let cut = Cut::Late(release.clone(), arrived.clone());
        (Self { release, arrived }, cut)
    }

    async fn deliver(&self) {
        self.release.notify_one();
        self.arrived.notified().await;
    }
}

/// A database, and a pool whose commits are held back.
async fn with_held_commit() -> (Db, PgPool, Held) {
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(4).await;
    once(&pool, &QUICK, "prepared").await.unwrap();
    let (held, cut) = Held::new();
    proxy.trap(b"COMMIT\0", cut);
    (db, pool, held)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_for_a_commit_that_is_late() {
    let (db, pool, held) = with_held_commit().await;
    let call: JoinHandle<Answer> = tokio::spawn(async move { once(&pool, &QUICK, "k").await });
    until_waiting(&db.pool).await;
    assert_eq!(effects(&db.pool, "k").await, 0);
    assert!(!call.is_finished(), "it answered before the commit arrived");
    held.deliver().await;
    // The value of the attempt that was committed.
    assert_eq!(call.await.unwrap().unwrap(), Once::Done(1));
    assert_eq!(
        (effects(&db.pool, "k").await, keys(&db.pool, "k").await),
        (1, 1)
    );
}

/// Takes effect at its first attempt, and refuses at any other.
async fn refuse_later(pool: PgPool) -> Answer {
    transact_once(&pool, &QUICK, "k", REQUEST, async |tx| {
        match tx.attempt().number() {
            1 => take_effect(tx, "k").await,
            _ => Err(Error::from(sqlx::Error::RowNotFound)),
        }
    })
    .await
}

/// The second attempt would refuse: that is no answer while the first one may commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_given_only_when_the_first_attempt_can_no_longer_commit() {
    let (db, pool, held) = with_held_commit().await;
    let call = tokio::spawn(refuse_later(pool));
    until_waiting(&db.pool).await;
    assert!(!call.is_finished(), "it refused before the commit arrived");
    held.deliver().await;
    assert_eq!(call.await.unwrap().unwrap(), Once::Done(1));
    assert_eq!(effects(&db.pool, "k").await, 1);

    // The commit never arrives: the first attempt was rolled back, and the refusal is final.
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(4).await;
    proxy.trap(b"COMMIT\0", Cut::Before);
    let refused = refuse_later(pool).await.unwrap_err();
    assert_eq!(
        (refused.reason, refused.class()),
        (StopReason::Permanent, Class::Permanent)
    );
    assert_eq!(
        (effects(&db.pool, "k").await, keys(&db.pool, "k").await),
        (0, 0)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_wait_for_the_commit_is_unknown() {
    let (db, pool, held) = with_held_commit().await;
    let limited = TransactOptions::new().with_lock_timeout(Duration::from_millis(20));
    let options = OnceOptions::new().with_transaction(limited);
    let policy = QUICK.with_max_attempts(3);
    let unknown = once_with(&pool, &policy, &options, "k").await.unwrap_err();
    assert!(unknown.error.is_busy(), "{unknown}");
    assert_eq!((unknown.attempts, unknown.class()), (3, Class::Unknown));
    assert_eq!(effects(&db.pool, "k").await, 0);
    held.deliver().await;
    eventually("the commit took effect", async || {
        effects(&db.pool, "k").await == 1
    })
    .await;
    assert_eq!(once(&pool, &QUICK, "k").await.unwrap(), Once::AlreadyDone);
}

/// An error that is not retried says nothing of the attempt before.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_that_is_cancelled_is_unknown() {
    let (db, pool, held) = with_held_commit().await;
    let call: JoinHandle<Answer> = tokio::spawn({
        let pool = pool.clone();
        async move { once(&pool, &QUICK, "k").await }
    });
    until_waiting(&db.pool).await;
    let cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    sqlx::query(cancel).execute(&db.pool).await.unwrap();
    let unknown = call.await.unwrap().unwrap_err();
    assert_eq!(
        (unknown.reason, unknown.class()),
        (StopReason::Permanent, Class::Unknown)
    );
    assert!(Error::from(unknown).is_unknown());
    held.deliver().await;
    eventually("the commit took effect", async || {
        effects(&db.pool, "k").await == 1
    })
    .await;
    assert_eq!(once(&pool, &QUICK, "k").await.unwrap(), Once::AlreadyDone);
}

/// Each message of the first attempt is held back until the second one waits for it, or has ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_any_late_message_takes_effect_once() {
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(4).await;
    once(&pool, &QUICK, "prepared").await.unwrap();
    let (mut before, mut behind) = (0, 0);
    for message in 0..20 {
        let key = format!("late/{message}");
        let (held, cut) = Held::new();
        proxy.trap_after(message, cut);
        let mut call = tokio::spawn({
            let (pool, key) = (pool.clone(), key.clone());
            async move { once(&pool, &QUICK, &key).await }
        });
        let answer: Option<Answer> = tokio::select! {
            answer = &mut call => Some(answer.unwrap()),
            () = async { while sessions_waiting(&db.pool).await == 0 {} } => None,
        };
        if proxy.disarm() {
            break;
        }
        held.deliver().await;
        let answer = match answer {
            Some(answer) => {
                before += 1;
                answer
            }
            None => {
                behind += 1;
                call.await.unwrap()
            }
        };
        assert!(matches!(answer, Ok(Once::Done(_))), "{key}: {answer:?}");
        assert_idle(&db.pool).await;
        let stored = (effects(&db.pool, &key).await, keys(&db.pool, &key).await);
        assert_eq!(stored, (1, 1), "{key}");
    }
    // BEGIN and the key arrive after the second attempt; the effect, the mark and COMMIT have the key inserted.
    assert_eq!((before, behind), (2, 3));
}
