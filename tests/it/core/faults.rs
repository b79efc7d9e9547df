//! Scripts of faults.

use std::time::Duration;

use optilock::{
    inventory::Error,
    testing::{Fault, Faults},
};
use tokio::time::Instant;

/// Makes a call, and returns the code of its error.
async fn call(faults: &Faults<Error>, operation: &'static str) -> Option<&'static str> {
    let made = faults.call(operation, async { Ok(()) }).await;
    made.err().map(|error| error.code())
}

#[tokio::test]
async fn calls_are_counted_for_each_operation() {
    let faults = Faults::new();
    faults.at_call("buy", 2, Fault::conflict()).at_call(
        "pay",
        1,
        Fault::busy(Duration::from_secs(7)),
    );
    assert_eq!(call(&faults, "buy").await, None);
    assert_eq!(call(&faults, "pay").await, Some("busy"));
    assert_eq!(call(&faults, "buy").await, Some("conflict"));
    assert_eq!(call(&faults, "buy").await, None);
    assert_eq!((faults.calls("buy"), faults.calls("pay")), (3, 1));
    assert_eq!(faults.met(), 2);
}

#[tokio::test]
async fn the_fault_of_a_call_comes_before_that_of_all() {
    let faults = Faults::new();
    faults
        .always("buy", Fault::unknown())
        .at_call("buy", 2, Fault::conflict());
    assert_eq!(call(&faults, "buy").await, Some("unknown-outcome"));
    assert_eq!(call(&faults, "buy").await, Some("conflict"));
    assert_eq!(call(&faults, "buy").await, Some("unknown-outcome"));
    assert_eq!(call(&faults, "pay").await, None);
    faults.clear();
    assert_eq!(call(&faults, "buy").await, None);
}

#[tokio::test]
async fn a_seed_gives_the_same_faults_again() {
    let codes = async |seed| {
        let faults = Faults::new();
        faults.at_random(seed, 3, [Fault::conflict(), Fault::unknown()]);
        let mut codes = Vec::new();
        for number in 0..300 {
            // The fault of one call does not move those of the others.
            if number == 10 {
                faults.at_call("buy", 11, Fault::busy(Duration::ZERO));
            }
            codes.push(call(&faults, "buy").await);
        }
        codes
    };
    let first = codes(7).await;
    assert_eq!(first, codes(7).await);
    assert_ne!(first, codes(8).await);
    let count = |code| first.iter().filter(|met| **met == code).count();
    assert!((150..250).contains(&count(None)), "{}", count(None));
    assert!(count(Some("conflict")) > 20 && count(Some("unknown-outcome")) > 20);
    assert_eq!(first[10], Some("busy"));
}

#[tokio::test(start_paused = true)]
async fn a_call_is_made_after_its_delay() {
    let faults = Faults::new();
    faults.at_call("buy", 1, Fault::delayed(Duration::from_secs(30)));
    let began = Instant::now();
    assert_eq!(call(&faults, "buy").await, None);
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test]
async fn only_an_answer_is_lost_not_a_refusal() {
    let faults = Faults::new();
    faults.always("buy", Fault::unknown_but_done());
    let refused = async { Err::<(), _>(Error::not_found("product", "pot")) };
    let refused = faults.call("buy", refused).await.unwrap_err();
    assert!(refused.is_not_found() && !refused.is_unknown());
    assert_eq!(call(&faults, "buy").await, Some("unknown-outcome"));
}

#[test]
#[should_panic(expected = "call 0 of buy can't meet a fault: 0 were made")]
fn calls_are_counted_from_one() {
    Faults::<Error>::new().at_call("buy", 0, Fault::conflict());
}
