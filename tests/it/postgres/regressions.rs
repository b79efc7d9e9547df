//! Regression tests of rows and transactions, each against a promise of the documentation.

mod bulk;
mod classes;
mod commits;
mod interrupted;
mod lost_connections;
mod pools;
mod savepoints;

use std::time::Duration;

use optilock::{Class, Classify, RetryPolicy, sqlx};

const POLICY: RetryPolicy = RetryPolicy::new().with_base_delay(Duration::from_millis(1));
const ONCE: RetryPolicy = RetryPolicy::new().with_max_attempts(1);

/// An error type of a host.
#[derive(Debug, thiserror::Error)]
enum AppError {
    #[error("the card may have been charged")]
    Charged,
    #[error("refused")]
    Refused,
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Classify for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Charged => Class::Unknown,
            Self::Refused => Class::Permanent,
            Self::Database(error) => error.class(),
        }
    }
}
