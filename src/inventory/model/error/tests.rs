use std::time::Duration;

use super::*;

/// What a busy service of a host's hook says.
#[derive(Debug, thiserror::Error)]
#[error("the payment service is busy")]
struct PaymentBusy(#[source] Error);

#[test]
fn a_busy_hook_keeps_the_time_after_which_to_try_again() {
    let wait = Some(Duration::from_secs(7));
    let source = PaymentBusy(Error::busy(wait));
    let refused = Error::hook(OrderId::new(), Box::new(source));
    assert!(refused.is_busy());
    assert_eq!(refused.retry_after(), wait);
    let permanent = Error::hook(OrderId::new(), "the customer is barred".into());
    assert_eq!(permanent.retry_after(), None);
}

#[test]
fn an_unknown_outcome_after_exhausted_retries_keeps_their_number() {
    let exhausted = Error::exhausted_by(Error::busy(None), 5);
    assert_eq!(exhausted.kind(), ErrorKind::Busy);
    let unknown = exhausted.into_unknown();
    assert_eq!(unknown.kind(), ErrorKind::Unknown);
    assert_eq!(unknown.outcome(), Outcome::Unknown);
    assert_eq!(unknown.exhausted().map(|it| it.attempts), Some(5));
}
