//! Calls whose futures are dropped.

use std::pin::pin;

use optilock::postgres::Once;

use super::effects::{QUICK, effects, keys, once, with_effects};
use crate::support::{db::assert_idle, polling::PollAtMost, proxy::Proxy};

/// What a dropped call left is the whole effect with its key, or nothing. The same request completes it.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_dropped_at_any_poll_takes_effect_as_a_whole_or_not_at_all() {
    let db = with_effects().await;
    // Through a proxy each round trip takes a poll.
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(1).await;
    let (mut done, mut not_done) = (0, 0);
    for sweep in 0..10 {
        for polls in 1.. {
            assert!(polls < 200, "it does not end");
            let key = format!("{sweep}/{polls}");
            let answer = PollAtMost(pin!(once(&pool, &QUICK, &key)), polls).await;
            assert_idle(&db.pool).await;
            let left = (effects(&db.pool, &key).await, keys(&db.pool, &key).await);
            if let Some(answer) = answer {
                assert_eq!((answer.unwrap(), left), (Once::Done(1), (1, 1)), "{key}");
                break;
            }
            let was_done = match left {
                (1, 1) => true,
                (0, 0) => false,
                _ => panic!("{key}: {left:?} effects and keys are left"),
            };
            done += u32::from(was_done);
            not_done += u32::from(!was_done);
            let answer = once(&pool, &QUICK, &key).await.unwrap();
            assert_eq!(answer == Once::AlreadyDone, was_done, "{key}: {answer:?}");
            assert_eq!(effects(&db.pool, &key).await, 1, "{key}");
        }
    }
    println!("{done} dropped calls took effect, {not_done} did not");
    assert!(not_done >= 10, "{not_done}");
}
