//! The text, the source and the class of a `RetryError`, through every conversion.

use std::error::Error;

use optilock::{Conflict, Version, inventory, postgres};

use super::*;

type BoxError = Box<dyn Error + Send + Sync>;

/// The error type of the guide. Each error of its driver becomes `Busy`.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the system is busy")]
    Busy,
    #[error("the outcome is unknown")]
    Unknown(#[source] Box<RetryError<AppError>>),
}

impl From<RetryError<AppError>> for AppError {
    fn from(gave_up: RetryError<AppError>) -> Self {
        gave_up
            .try_into_inner()
            .unwrap_or_else(|unknown| Self::Unknown(Box::new(unknown)))
    }
}

impl Classify for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Busy => BUSY,
            Self::Unknown(gave_up) => gave_up.class(),
        }
    }
}

/// A retry that stopped because of `class`, with `error` inside: a transaction whose connection was lost
/// at COMMIT, and whose error the application has converted.
async fn stopped<E>(class: Class, error: E) -> RetryError<E> {
    let policy = PLAIN.with_max_attempts(1);
    let played = with_retry(&policy, async |_| Err::<(), _>(Scripted(class)));
    played.await.unwrap_err().map(|_| error)
}

/// The documented conversion turned an unknown outcome into `Busy`.
#[tokio::test]
async fn the_documented_conversion_keeps_an_unknown_outcome() {
    async fn sell(class: Class) -> Result<(), AppError> {
        Err(stopped(class, AppError::Busy).await)?
    }
    let unknown = sell(Class::Unknown).await.unwrap_err();
    assert_eq!(unknown.class(), Class::Unknown);
    assert_eq!(BoxError::from(unknown).class(), Class::Unknown);
    {
        let unknown = sell(Class::Unknown).await.unwrap_err();
        let unknown = anyhow::Error::from(unknown).context("checkout");
        assert_eq!(unknown.class(), Class::Unknown);
    }
    // Nothing has happened: the application's own error, unchanged.
    let busy = sell(BUSY).await.unwrap_err();
    assert!(matches!(busy, AppError::Busy), "{busy:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_no_attempt_settled_stays_unknown() {
    let policy = PLAIN.with_unknown_retried(true).with_max_attempts(2);
    let error = stop(&policy, &[Class::Unknown, BUSY]).await;
    assert_eq!(error.reason, StopReason::Attempts);
    let unknown = error.try_into_inner().unwrap_err();
    assert_eq!(unknown.class(), Class::Unknown);
    let error = stop(&policy, &[Class::Unknown, Class::Permanent]).await;
    assert_eq!(error.try_into_inner().unwrap(), Scripted(Class::Permanent));
}

/// `?` into the type of the last error, where that type does not implement `Error`.
#[tokio::test]
async fn question_marks_convert_boxed_errors() {
    async fn boxed(class: Class) -> Result<(), BoxError> {
        Ok(Err(stopped(class, BoxError::from("lost")).await)?)
    }
    async fn local(class: Class) -> Result<(), Box<dyn Error>> {
        Ok(Err(stopped(class, BoxError::from("lost")).await)?)
    }
    for (class, expected) in [
        (Class::Unknown, Class::Unknown),
        (BUSY, Class::Permanent),
        (CONFLICT, Class::Permanent),
    ] {
        assert_eq!(boxed(class).await.unwrap_err().class(), expected);
        let error = local(class).await.unwrap_err();
        let gave_up = error.downcast::<RetryError<BoxError>>().unwrap();
        assert_eq!(gave_up.class(), expected);
    }
}

#[tokio::test]
async fn question_marks_convert_anyhow() {
    async fn sell(class: Class) -> anyhow::Result<()> {
        Ok(Err(stopped(class, anyhow::anyhow!("lost")).await)?)
    }
    for (class, expected) in [
        (Class::Unknown, Class::Unknown),
        (BUSY, Class::Permanent),
        (CONFLICT, Class::Permanent),
    ] {
        let error = sell(class).await.unwrap_err();
        assert_eq!(error.class(), expected);
        assert_eq!(error.context("checkout").class(), expected);
    }
    let conflict = Conflict::new("pot", 1, Version::FIRST, Version::FIRST);
    let read = conflict.to_string();
    let error = anyhow::Error::from(conflict).context("checkout");
    let error = anyhow::Error::from(stopped(CONFLICT, error).await);
    // Each text once.
    assert_eq!(
        format!("{error:#}"),
        format!("gave up after 1 attempt (attempts exhausted): checkout: {read}")
    );
}

/// A retry with boxed errors around a retry with a typed error.
#[tokio::test]
async fn a_retry_of_boxed_errors_keeps_an_unknown_outcome() {
    let outer = with_retry(&PLAIN, async |_| {
        Err::<(), BoxError>(stopped(Class::Unknown, AppError::Busy).await.into())
    });
    let error = outer.await.unwrap_err();
    assert_eq!((error.attempts, error.reason), (1, StopReason::Unknown));
    assert_eq!(BoxError::from(error).class(), Class::Unknown);
}

#[tokio::test(start_paused = true)]
async fn the_text_ends_with_that_of_the_last_error() {
    for (script, text) in [
        (
            &[CONFLICT; 12][..],
            "gave up after 12 attempts in 1.6s (attempts exhausted): scripted",
        ),
        (
            &[Class::Permanent],
            "gave up after 1 attempt (permanent failure): scripted",
        ),
        (
            &[CONFLICT, Class::Unknown],
            "gave up after 2 attempts (outcome unknown): scripted",
        ),
    ] {
        let error = stop(&PLAIN, script).await;
        assert_eq!(error.to_string(), text);
        assert!(error.source().is_none(), "the text includes the error");
    }
    let played = play(&PLAIN, &[Class::Permanent], ms(1_500)).await;
    assert_eq!(
        played.unwrap_err().to_string(),
        "gave up after 1 attempt in 1.5s (permanent failure): scripted"
    );
}

#[tokio::test]
async fn the_source_is_that_of_the_last_error() {
    #[derive(Debug, thiserror::Error)]
    #[error("checkout")]
    struct Checkout(#[source] Scripted);

    let boxed = stopped(BUSY, BoxError::from(Checkout(Scripted(BUSY)))).await;
    assert_eq!(boxed.source().unwrap().to_string(), "scripted");
    {
        let error = anyhow::Error::from(Scripted(BUSY)).context("checkout");
        let error = stopped(BUSY, error).await;
        assert_eq!(error.source().unwrap().to_string(), "scripted");
    }
    {
        let lost = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        let text = lost().source().unwrap().to_string();
        let error = stopped(BUSY, lost()).await;
        assert_eq!(error.source().unwrap().to_string(), text);
        let error = stopped(BUSY, postgres::Error::from(lost())).await;
        assert!(error.source().unwrap().is::<sqlx::Error>());
    }
    {
        let busy = inventory::Error::from(sqlx::Error::PoolTimedOut);
        let error = stopped(BUSY, busy).await;
        assert!(error.source().unwrap().is::<sqlx::Error>());
    }
}

#[tokio::test]
async fn an_inventory_keeps_an_unknown_outcome() {
    let busy = || inventory::Error::from(sqlx::Error::PoolTimedOut);
    let unknown = inventory::Error::from(stopped(Class::Unknown, busy()).await);
    assert!(unknown.is_unknown(), "{unknown:?}");
    let exhausted = inventory::Error::from(stopped(BUSY, busy()).await);
    assert!(exhausted.exhausted().is_some(), "{exhausted:?}");
}
