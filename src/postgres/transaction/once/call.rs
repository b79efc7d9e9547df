//! One call: its key, and what is stored with it.

use sqlx::{PgConnection, Row, postgres::PgRow};

use super::table::KeyTable;
use crate::postgres::{error::Error, transaction::lease::BoxFuture};

const MAX_BYTES: usize = 500;

pub(super) struct Call<'c> {
    pub(super) table: &'c KeyTable,
    pub(super) key: &'c str,
    pub(super) fingerprint: &'c [u8],
    /// Tells the key of this call from that of another one, when a `COMMIT` was lost.
    pub(super) id: i64,
}

/// What a call found at its key.
pub(super) enum Claim {
    /// Nothing: the key is inserted. No earlier attempt of the call has committed, and none can.
    Inserted,
    /// A committed key of the same request.
    Found(PgRow),
}

impl<'c> Call<'c> {
    pub(super) fn new(table: &'c KeyTable, key: &'c str, fingerprint: &'c [u8]) -> Self {
        let id = rand::random();
        Self {
            table,
            key,
            fingerprint,
            id,
        }
    }

    /// Refuses a key that PostgreSQL can't store or index, or that a log line can't show.
    pub(super) fn check(&self) -> Result<(), Error> {
        let invalid = |problem: String| Err(Error::invalid("the idempotency key", problem));
        let length = self.key.len();
        if self.key.trim().is_empty() {
            return invalid("is empty".to_owned());
        }
        if length > MAX_BYTES {
            return invalid(format!("is {length} bytes long, the most is {MAX_BYTES}"));
        }
        if self.key.chars().any(char::is_control) {
            return invalid("holds a control character".to_owned());
        }
        Ok(())
    }

    /// Inserts the key, or finds the one that is stored. Waits for another transaction that has inserted it.
    pub(super) fn claim<'f>(
        &'f self,
        conn: &'f mut PgConnection,
    ) -> BoxFuture<'f, Result<Claim, Error>> {
        Box::pin(async move {
            // Twice, as the clean-up may remove a key between the two statements.
            for _ in 0..2 {
                match self.insert(conn).await? {
                    Some(true) => return Ok(Claim::Inserted),
                    Some(false) => break,
                    None => {}
                }
                if let Some(row) = self.find(conn).await? {
                    if !row.try_get::<bool, _>("is_same")? {
                        return Err(Error::idempotency_mismatch(self.key));
                    }
                    return Ok(Claim::Found(row));
                }
            }
            Err(Error::key_suppressed(self.key))
        })
    }

    /// Returns whether the inserted row is as it was sent, or nothing if there is one with this key.
    async fn insert(&self, conn: &mut PgConnection) -> Result<Option<bool>, sqlx::Error> {
        sqlx::query_scalar(self.table.claim())
            .bind(self.key)
            .bind(self.fingerprint)
            .bind(self.id)
            .fetch_optional(conn)
            .await
    }

    async fn find(&self, conn: &mut PgConnection) -> Result<Option<PgRow>, sqlx::Error> {
        sqlx::query(self.table.find())
            .bind(self.key)
            .bind(self.fingerprint)
            .bind(self.id)
            .fetch_optional(conn)
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::ErrorKind;

    #[test]
    fn a_key_has_1_to_500_bytes_and_no_control_characters() {
        let table = KeyTable::default();
        let check = |key: &str| Call::new(&table, key, b"").check();
        for key in ["k", "ключ 🔑", "'; DROP TABLE t; --", &"k".repeat(500)] {
            check(key).unwrap();
        }
        for key in ["", " ", "a\0b", "a\nb", &"k".repeat(501), &"ü".repeat(251)] {
            assert_eq!(
                check(key).unwrap_err().kind(),
                ErrorKind::Invalid,
                "{key:?}"
            );
        }
    }
}
