//! Helpers of the tests of a repository of accounts.

use optilock::{
    Class, Classify, Version,
    postgres::{Error, ErrorKind},
    sqlx::PgPool,
};

use crate::support::bank::until_waiting;

pub fn version(value: i64) -> Version {
    Version::new(value).unwrap()
}

#[track_caller]
pub fn assert_conflict<T: std::fmt::Debug>(result: Result<T, Error>, expected: i64, actual: i64) {
    match result {
        Err(error) if error.kind() == ErrorKind::Conflict => {
            let conflict = error.conflict().unwrap();
            assert_eq!(conflict.entity, "account");
            assert_eq!(conflict.id, "1");
            assert_eq!(
                (conflict.expected, conflict.actual),
                (version(expected), version(actual))
            );
        }
        other => panic!("not a conflict: {other:?}"),
    }
}

#[track_caller]
pub fn assert_not_found<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(error) if error.is_not_found() => {
            assert_eq!((error.entity(), error.id()), (Some("account"), Some("1")));
        }
        other => panic!("found: {other:?}"),
    }
}

#[track_caller]
pub fn assert_several<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(error) if error.kind() == ErrorKind::SchemaMismatch => {
            assert_eq!(error.class(), Class::Permanent);
            assert!(
                error.to_string().contains("id 1 names several rows"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Runs an operation, runs `release` as soon as the operation waits for a lock, and returns its result.
pub async fn run_blocked<T>(
    pool: &PgPool,
    operation: impl Future<Output = T>,
    release: impl Future<Output = ()>,
) -> T {
    let releasing = async {
        until_waiting(pool).await;
        release.await;
    };
    tokio::join!(operation, releasing).0
}
