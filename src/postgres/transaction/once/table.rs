//! The table of idempotency keys, and its statements.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use sqlx::{PgConnection, PgPool, SqlStr};

use crate::postgres::{
    classify::is_created_elsewhere,
    error::Error,
    sql::{ours, quoted_table},
    transaction::on_connection,
};

/// A table of idempotency keys, for [`transact_once`](crate::postgres::transact_once()).
///
/// Hosts that share a database each have a table of their own, so that their keys don't meet.
///
/// # Default
///
/// `optilock.once_keys`.
///
/// ```
/// use optilock::postgres::KeyTable;
///
/// # fn main() -> Result<(), optilock::postgres::Error> {
/// let table = KeyTable::new("billing.once_keys")?;
/// assert_eq!(table.name(), "billing.once_keys");
/// assert_eq!(KeyTable::default().name(), "optilock.once_keys");
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct KeyTable(Arc<Texts>);

struct Texts {
    name: String,
    create: String,
    claim: SqlStr,
    find: SqlStr,
    store: SqlStr,
    forget: SqlStr,
}

impl KeyTable {
    /// Names a table, with its schema: `"billing.once_keys"`, exactly as in the database. Both names are quoted.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::postgres::ErrorKind::Invalid) unless it is two names with a dot between, of 1 to
    /// 63 bytes each, without a zero byte, and the schema is none that PostgreSQL reserves.
    pub fn new(name: &str) -> Result<Self, Error> {
        let invalid =
            |problem: &str| Error::invalid("the table of keys", format!("{name:?} {problem}"));
        let mut parts = name.split('.');
        let (Some(schema), Some(table), None) = (parts.next(), parts.next(), parts.next()) else {
            return Err(invalid("is not \"schema.table\""));
        };
        for part in [schema, table] {
            if part.is_empty() {
                return Err(invalid("has an empty name"));
            }
            if part.len() > 63 {
                return Err(invalid("has a name of more than 63 bytes"));
            }
            if part.contains('\0') {
                return Err(invalid("holds a zero byte"));
            }
        }
        if schema.starts_with("pg_") || schema == "information_schema" {
            return Err(invalid("is in a schema that PostgreSQL reserves"));
        }
        Ok(Self::of(name))
    }

    fn of(name: &str) -> Self {
        let t = quoted_table(name);
        Self(Arc::new(Texts {
            name: name.to_owned(),
            create: format!(
                "CREATE TABLE {t} (
    key         text COLLATE \"C\" PRIMARY KEY,
    fingerprint bytea NOT NULL,
    call        bigint NOT NULL,
    answer      jsonb,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
CREATE INDEX ON {t} (created_at);
"
            ),
            claim: ours(format!(
                "INSERT INTO {t} AS k (key, fingerprint, call) VALUES ($1, pg_catalog.sha256($2), $3)
                ON CONFLICT (key) DO NOTHING
                RETURNING k.key = $1 AND k.fingerprint = pg_catalog.sha256($2) AND k.call = $3 AS is_as_sent"
            )),
            // The lock keeps the clean-up away. It is also a write, so that COMMIT waits until a synchronous standby
            // has the key: PostgreSQL shows a row whose own COMMIT stopped waiting.
            find: ours(format!(
                "SELECT k.fingerprint = pg_catalog.sha256($2) AS is_same, k.call = $3 AS is_own, k.answer
                FROM {t} AS k WHERE k.key = $1 FOR KEY SHARE"
            )),
            store: ours(format!(
                "UPDATE {t} AS k SET answer = $2 WHERE k.key = $1 RETURNING k.answer"
            )),
            forget: ours(format!(
                "WITH expired AS MATERIALIZED (
                    SELECT k.key FROM {t} AS k
                    WHERE k.created_at <= pg_catalog.statement_timestamp() - $1::float8 * interval '1 microsecond'
                    ORDER BY k.created_at LIMIT $2::bigint FOR UPDATE SKIP LOCKED)
                DELETE FROM {t} AS k WHERE k.key = ANY (ARRAY(SELECT key FROM expired))"
            )),
        }))
    }

    /// Returns the name, as [`new`](Self::new) received it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the statements that create the table and its index, for a migration of the host's. The schema must
    /// exist.
    ///
    /// ```
    /// # use optilock::postgres::KeyTable;
    /// let sql = KeyTable::default().create_sql().to_owned();
    /// assert!(sql.starts_with("CREATE TABLE \"optilock\".\"once_keys\" ("));
    /// ```
    #[must_use]
    pub fn create_sql(&self) -> &str {
        &self.0.create
    }

    /// `$1` key, `$2` fingerprint, `$3` call. Returns a row if it was inserted: whether it is stored as it was sent.
    pub(super) fn claim(&self) -> SqlStr {
        self.0.claim.clone()
    }

    /// Parameters as in [`claim`](Self::claim). Returns what is stored with the key.
    pub(super) fn find(&self) -> SqlStr {
        self.0.find.clone()
    }

    /// `$1` key, `$2` answer. Returns the answer as a later call reads it.
    pub(super) fn store(&self) -> SqlStr {
        self.0.store.clone()
    }

    /// `$1` age in microseconds, `$2` limit.
    pub(super) fn forget(&self) -> SqlStr {
        self.0.forget.clone()
    }

    async fn exists(&self, conn: &mut PgConnection) -> Result<bool, Error> {
        let exists = "SELECT pg_catalog.to_regclass($1) IS NOT NULL";
        let exists = sqlx::query_scalar(exists).bind(quoted_table(self.name()));
        exists.fetch_one(conn).await.map_err(Error::before)
    }

    async fn create(&self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let schema = self.name().split('.').next().unwrap_or_default();
        let schema = quoted_table(schema);
        let is_missing = "SELECT pg_catalog.to_regnamespace($1) IS NULL";
        let is_missing = sqlx::query_scalar(is_missing).bind(&schema);
        // Not `IF NOT EXISTS` alone: it needs the right to create schemas even if the schema exists.
        if is_missing.fetch_one(&mut *conn).await? {
            let create = ours(format!("CREATE SCHEMA IF NOT EXISTS {schema}"));
            sqlx::raw_sql(create).execute(&mut *conn).await?;
        }
        // One message, and so one transaction.
        let create = ours(self.create_sql().to_owned());
        sqlx::raw_sql(create).execute(conn).await.map(drop)
    }
}

impl Default for KeyTable {
    fn default() -> Self {
        static DEFAULT: LazyLock<KeyTable> = LazyLock::new(|| KeyTable::of("optilock.once_keys"));
        DEFAULT.clone()
    }
}

impl fmt::Debug for KeyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyTable").field(&self.name()).finish()
    }
}

/// Creates a table of idempotency keys, and its schema, if they don't exist.
///
/// Call it at every start, or put [`KeyTable::create_sql`] into a migration of the host's. It changes nothing if the
/// table exists, and needs no right to create anything then. Several processes may call it at once.
///
/// A role that runs [`transact_once`](crate::postgres::transact_once()) needs `SELECT`, `INSERT` and `UPDATE` on the
/// table, and one that runs [`forget_keys`](crate::postgres::forget_keys) `DELETE` as well.
///
/// ```no_run
/// use optilock::postgres::{KeyTable, create_key_table};
///
/// # async fn doc(pool: sqlx::PgPool) -> Result<(), optilock::postgres::Error> {
/// create_key_table(&pool, &KeyTable::default()).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// Those of the database, such as that of a role that may not create the table.
pub async fn create_key_table(pool: &PgPool, table: &KeyTable) -> Result<(), Error> {
    /// The maximum number of rounds: another session may create the schema during the first, and the table during the
    /// second.
    const ROUNDS: u32 = 3;
    on_connection(pool, async |conn: &mut PgConnection| {
        for round in 1.. {
            if table.exists(conn).await? {
                break;
            }
            match table.create(conn).await {
                Err(error) if round < ROUNDS && is_created_elsewhere(&error) => {}
                created => return created.map_err(Error::from),
            }
        }
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres::ErrorKind;

    #[test]
    fn a_name_is_a_schema_and_a_table() {
        let longest = "s".repeat(63);
        for name in [
            "a.b",
            "My Schema.\"k\"",
            "x';--.y",
            &format!("{longest}.{longest}"),
        ] {
            assert_eq!(KeyTable::new(name).unwrap().name(), name);
        }
        let long = format!("a.{}", "t".repeat(64));
        for name in [
            "",
            "keys",
            ".",
            "a.",
            ".b",
            "a.b.c",
            "a.b\0",
            "pg_temp.k",
            "information_schema.k",
            &long,
        ] {
            let error = KeyTable::new(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }

    #[test]
    fn names_are_quoted() {
        let table = KeyTable::new("s.a\"b").unwrap();
        assert!(
            table
                .create_sql()
                .contains("CREATE TABLE \"s\".\"a\"\"b\" (")
        );
    }
}
