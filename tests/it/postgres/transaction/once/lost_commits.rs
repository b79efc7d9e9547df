//! Connections that are cut at `COMMIT`: the call looks for its key.

use optilock::{Class, Classify, postgres::Once};
use tokio::task::JoinHandle;

use super::effects::{Answer, ONE_ATTEMPT, QUICK, effects, keys, once, with_effects};
use crate::support::{
    db::{Db, assert_idle, eventually},
    proxy::{Cut, Proxy},
};

/// Cuts this many commits of calls, on one connection after the other.
async fn cut_commits(db: &Db, of: &str, commits: u32) {
    let proxy = Proxy::new(db).await;
    let pool = proxy.pool(2).await;
    for number in 0..commits {
        let key = format!("{of}/{number}");
        // The call that was committed returns the value of its first attempt; the other one performs it again.
        let (cut, first, later) = match number % 2 {
            0 => (Cut::Before, Once::Done(2), Once::Done(1)),
            _ => (Cut::Reply, Once::Done(1), Once::AlreadyDone),
        };
        proxy.trap(b"COMMIT\0", cut);
        if number % 4 < 2 {
            assert_eq!(once(&pool, &QUICK, &key).await.unwrap(), first, "{key}");
        } else {
            // The process ends, and the client sends the request again.
            let unknown = once(&pool, &ONE_ATTEMPT, &key).await.unwrap_err();
            assert_eq!(unknown.class(), Class::Unknown, "{key}: {unknown}");
            assert_eq!(once(&pool, &QUICK, &key).await.unwrap(), later, "{key}");
        }
        assert!(!proxy.armed(), "{key}: no commit was cut");
        let stored = (effects(&db.pool, &key).await, keys(&db.pool, &key).await);
        assert_eq!(stored, (1, 1), "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_calls_with_a_lost_commit_take_effect_once() {
    let db = with_effects().await;
    tokio::join!(
        cut_commits(&db, "a", 125),
        cut_commits(&db, "b", 125),
        cut_commits(&db, "c", 125),
        cut_commits(&db, "d", 125),
    );
    assert_idle(&db.pool).await;
}

/// The transaction that finds the key loses its own `COMMIT` as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_look_whose_commit_is_lost_is_made_again() {
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    assert_eq!(once(&pool, &QUICK, "k").await.unwrap(), Once::Done(1));
    proxy.trap(b"COMMIT\0", Cut::Reply);
    assert_eq!(once(&pool, &QUICK, "k").await.unwrap(), Once::AlreadyDone);
    assert!(!proxy.armed());
    proxy.trap(b"COMMIT\0", Cut::Reply);
    let unknown = once(&pool, &ONE_ATTEMPT, "k").await.unwrap_err();
    assert_eq!(unknown.class(), Class::Unknown, "it has taken effect");
    assert_eq!(effects(&db.pool, "k").await, 1);
}

/// Each message of a call is cut, before it arrives and before its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_cut_at_any_message_takes_effect_once() {
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    once(&pool, &QUICK, "prepared").await.unwrap();
    let mut cuts = 0;
    for cut in [Cut::Before, Cut::Reply] {
        for message in 0..20 {
            let key = format!("{cut:?}/{message}");
            proxy.trap_after(message, cut.clone());
            let answer = once(&pool, &QUICK, &key).await.unwrap();
            if proxy.disarm() {
                break;
            }
            assert!(matches!(answer, Once::Done(_)), "{key}: {answer:?}");
            assert_eq!(effects(&db.pool, &key).await, 1, "{key}");
            cuts += 1;
        }
    }
    // BEGIN, the key, the effect, the question for the mark, COMMIT.
    assert_eq!(cuts, 10);
    assert_idle(&db.pool).await;
}

/// The first attempt was rolled back, and another call takes effect before the next one begins.
#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_another_call_is_not_taken_for_its_own() {
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(1).await;
    once(&pool, &QUICK, "prepared").await.unwrap();
    // BEGIN, the key, the effect, the question for the mark, COMMIT.
    proxy.allow(5);
    proxy.trap(b"COMMIT\0", Cut::Before);
    let call: JoinHandle<Answer> = tokio::spawn(async move { once(&pool, &QUICK, "k").await });
    eventually("the commit was cut", async || !proxy.armed()).await;
    assert_eq!(once(&db.pool, &QUICK, "k").await.unwrap(), Once::Done(1));
    assert!(
        !call.is_finished(),
        "it began before the other call had ended"
    );
    proxy.allow(u64::MAX);
    assert_eq!(call.await.unwrap().unwrap(), Once::AlreadyDone);
    assert_eq!(effects(&db.pool, "k").await, 1);
}
