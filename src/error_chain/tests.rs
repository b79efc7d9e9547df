use super::*;
use crate::{RetryError, RetryPolicy, Version, with_retry};

type BoxError = Box<dyn Error + Send + Sync>;

fn conflict() -> Conflict {
    Conflict::new("product", "mug-7", Version::FIRST, Version::new(2).unwrap())
}

#[derive(Debug, thiserror::Error)]
#[error("checkout failed")]
struct Wrapped(#[source] BoxError);

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Transparent(BoxError);

fn wrapped(error: impl Into<BoxError>) -> BoxError {
    Box::new(Wrapped(Box::new(Wrapped(error.into()))))
}

async fn gave_up() -> RetryError<Conflict> {
    let policy = RetryPolicy::new().with_max_attempts(1);
    with_retry(&policy, async |_| Err::<(), _>(conflict()))
        .await
        .unwrap_err()
}

#[test]
fn finds_what_it_knows_in_the_chain() {
    assert_eq!(BoxError::from(conflict()).class(), Class::Conflict);
    assert_eq!(wrapped(conflict()).class(), Class::Conflict);
    assert_eq!(wrapped("no such table").class(), Class::Permanent);
}

#[tokio::test]
async fn a_retry_in_the_chain_is_not_multiplied() {
    assert_eq!(BoxError::from(gave_up().await).class(), Class::Permanent);
    assert_eq!(wrapped(gave_up().await).class(), Class::Permanent);
    let transparent = Transparent(gave_up().await.into());
    assert_eq!(wrapped(transparent).class(), Class::Permanent);
}

#[tokio::test]
async fn asking_leaves_no_trace() {
    let boxed = gave_up().await.map(wrapped);
    let error = BoxError::from(boxed);
    // Not the conflict that lies deeper in the chain.
    assert_eq!(error.class(), Class::Permanent);
    assert!(error.source().unwrap().is::<Wrapped>());
}

#[cfg(feature = "inventory")]
#[test]
fn knows_the_floors_above() {
    let timed_out = || sqlx::Error::PoolTimedOut;
    let busy = Class::Busy { retry_after: None };
    assert_eq!(wrapped(timed_out()).class(), busy);
    assert_eq!(
        wrapped(crate::inventory::Error::from(timed_out())).class(),
        busy
    );
    // Of a row that moved on: its own class, whatever is inside.
    let moved = crate::postgres::Error::from(conflict());
    assert_eq!(wrapped(moved).class(), Class::Conflict);
    // An inventory that gave up has its own class, not that of what is inside.
    let exhausted = crate::inventory::Error::exhausted_by(timed_out().into(), 12);
    assert_eq!(wrapped(exhausted).class(), Class::Permanent);
}

#[cfg(feature = "anyhow")]
#[tokio::test]
async fn knows_anyhow() {
    let known = anyhow::Error::from(conflict()).context("checkout");
    assert_eq!(known.class(), Class::Conflict);
    assert_eq!(anyhow::anyhow!("no").class(), Class::Permanent);
    let stopped = anyhow::Error::from(gave_up().await).context("checkout");
    assert_eq!(stopped.class(), Class::Permanent);
}
