//! Engines that speak PostgreSQL's protocol, and where their SQL differs.

use std::borrow::Cow;

/// The SQL of an engine that speaks PostgreSQL's protocol.
///
/// The guide says [what was tried on each](crate::guide::many_shops#other-engines). Only PostgreSQL is supported.
///
/// # Default
///
/// [`PostgreSql`](Self::PostgreSql).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// PostgreSQL, also with the extension Citus.
    #[default]
    PostgreSql,
    /// CockroachDB: text is in byte order without a collation; no BRIN.
    CockroachDb,
    /// YugabyteDB: no BRIN.
    YugabyteDb,
    /// Aurora DSQL: a lock of a row is `FOR UPDATE`, an index is built asynchronously, and text is in byte order
    /// without a collation; no BRIN, no unlogged table.
    AuroraDsql,
}

impl Dialect {
    /// Returns a statement of the crate's files in this dialect.
    pub(crate) fn statement(self, sql: &str) -> Cow<'_, str> {
        match self {
            Self::AuroraDsql => sql.replace("FOR NO KEY UPDATE", "FOR UPDATE").into(),
            _ => sql.into(),
        }
    }

    /// Returns a step of a migration in this dialect; `None` if the engine has no such setting.
    pub(crate) fn step(self, sql: &str) -> Option<Cow<'_, str>> {
        if self == Self::PostgreSql {
            return Some(sql.into());
        }
        if sql.contains("SET (fillfactor") {
            return None;
        }
        let mut text = sql
            .replace(" USING brin", "")
            .replace("CREATE UNLOGGED TABLE", "CREATE TABLE");
        if self != Self::YugabyteDb {
            text = text.replace(" COLLATE \"C\"", "");
        }
        if self == Self::AuroraDsql {
            text = text
                .replace("INDEX CONCURRENTLY", "INDEX")
                .replace("INDEX IF NOT EXISTS", "INDEX ASYNC IF NOT EXISTS");
        }
        Some(text.into())
    }
}

#[cfg(test)]
mod tests;
