//! Frameworks of other languages as a second writer: the SQL that they send, beside this crate.

use optilock::sqlx::{self, Postgres, postgres::PgTypeInfo};

/// How often each writer of [`compete`] increments the row.
const ROUNDS: i64 = 10;

/// A value of type `timestamp`, as frameworks send it: microseconds since 2000.
#[derive(Clone, Copy, sqlx::Encode)]
#[sqlx(transparent)]
pub struct Timestamp(pub i64);

impl sqlx::Type<Postgres> for Timestamp {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("timestamp")
    }
}

/// Runs two writers in Rust and two of the framework on one row, and returns the number of increments.
///
/// The framework reads, and writes at the version that it read; again if another writer was faster.
pub async fn compete<V>(
    rust: impl AsyncFn(),
    read: impl AsyncFn() -> (i64, V),
    write: impl AsyncFn(i64, V) -> u64,
) -> i64 {
    let in_rust = async || {
        for _ in 0..ROUNDS {
            rust().await;
        }
    };
    let in_framework = async || {
        for _ in 0..ROUNDS {
            loop {
                let (cents, version) = read().await;
                if write(cents + 1, version).await == 1 {
                    break;
                }
            }
        }
    };
    tokio::join!(in_rust(), in_rust(), in_framework(), in_framework());
    4 * ROUNDS
}
