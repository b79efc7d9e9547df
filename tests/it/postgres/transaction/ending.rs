//! How a transaction ends: committed as a whole, rolled back as a whole, or unknown.

mod hooks;
mod outcome;
mod question_mark;
mod savepoints;
mod server;

use std::fmt::Debug;

use optilock::{Class, Classify, RetryError, RetryPolicy, StopReason, sqlx};

const POLICY: RetryPolicy = RetryPolicy::new();

#[derive(Debug)]
enum AppError {
    Conflict,
    Charged,
    Database(
        #[expect(dead_code, reason = "shown by Debug")] sqlx::Error,
        Class,
    ),
}

impl From<sqlx::Error> for AppError {
    fn from(error: sqlx::Error) -> Self {
        let class = error.class();
        Self::Database(error, class)
    }
}

impl Classify for AppError {
    fn class(&self) -> Class {
        match self {
            Self::Conflict => Class::Conflict,
            Self::Charged => Class::Unknown,
            Self::Database(_, class) => *class,
        }
    }
}

fn assert_unknown<E: Debug>(ended: Result<impl Debug, RetryError<E>>) {
    let unknown = ended.unwrap_err();
    assert_eq!(
        (unknown.attempts, unknown.reason, unknown.class()),
        (1, StopReason::Unknown, Class::Unknown),
        "{unknown:?}"
    );
}
