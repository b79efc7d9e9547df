//! The settings of a transaction.

use std::time::Duration;

use super::begin::{Begin, told_to_workers};

/// The isolation level of a transaction, as PostgreSQL defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Isolation {
    /// Each statement sees what was committed before it began. A guarded write that lost changes no row.
    ReadCommitted,
    /// Each statement sees the snapshot of the first one. A write that lost is a serialization failure.
    RepeatableRead,
    /// The transactions have the same effect as if they ran one after the other.
    Serializable,
}

impl Isolation {
    const fn sql(self) -> &'static str {
        match self {
            Self::ReadCommitted => " ISOLATION LEVEL READ COMMITTED",
            Self::RepeatableRead => " ISOLATION LEVEL REPEATABLE READ",
            Self::Serializable => " ISOLATION LEVEL SERIALIZABLE",
        }
    }
}

/// The settings of the transactions of [`transact_with`](crate::postgres::transact_with).
///
/// They are sent with `BEGIN`, in the same round trip. A setting that is missing here is that of the
/// session, the role or the database.
///
/// # Default
///
/// No setting: a plain `BEGIN`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct TransactOptions {
    isolation: Option<Isolation>,
    read_only: bool,
    lock_timeout: Option<Duration>,
    statement_timeout: Option<Duration>,
    idle_timeout: Option<Duration>,
}

impl TransactOptions {
    /// Returns options without a setting: a plain `BEGIN`.
    pub const fn new() -> Self {
        Self {
            isolation: None,
            read_only: false,
            lock_timeout: None,
            statement_timeout: None,
            idle_timeout: None,
        }
    }

    /// Sets the isolation level.
    pub const fn with_isolation(mut self, level: Isolation) -> Self {
        self.isolation = Some(level);
        self
    }

    /// Sets whether the server refuses writes in the transaction.
    pub const fn with_read_only(mut self, yes: bool) -> Self {
        self.read_only = yes;
        self
    }

    /// Sets how long a statement may wait for one lock, to the millisecond, at least 1 ms. The wait ends with
    /// `55P03`, of class [`Busy`](crate::Class::Busy).
    pub const fn with_lock_timeout(mut self, limit: Duration) -> Self {
        self.lock_timeout = Some(limit);
        self
    }

    /// Sets how long a statement may run, to the millisecond, at least 1 ms. It ends with `57014`, of class
    /// [`Busy`](crate::Class::Busy). A statement that an administrator cancels earlier is
    /// [`Permanent`](crate::Class::Permanent), and so is one that the limit of the role ends. The setting
    /// limits neither deferred triggers nor the wait for a synchronous standby at `COMMIT`.
    pub const fn with_statement_timeout(mut self, limit: Duration) -> Self {
        self.statement_timeout = Some(limit);
        self
    }

    /// Sets how long the transaction may wait for its next statement, to the millisecond, at least 1 ms. After
    /// that the server ends the session, so that a stalled client holds no locks.
    pub const fn with_idle_timeout(mut self, limit: Duration) -> Self {
        self.idle_timeout = Some(limit);
        self
    }

    /// Returns how a transaction with these options begins; `sql` is that of [`begin_sql`](Self::begin_sql).
    pub(super) const fn begin<'s>(&self, sql: &'s str) -> Begin<'s> {
        Begin {
            sql,
            proven: true,
            statement_timeout: self.statement_timeout,
            read_only: self.read_only,
        }
    }

    /// Returns `BEGIN` and its settings as one simple query.
    pub(super) fn begin_sql(&self) -> String {
        let mut sql = format!("BEGIN{}", self.isolation.map_or("", Isolation::sql));
        if self.read_only {
            sql += " READ ONLY";
        }
        if self.lock_timeout.is_some() || self.statement_timeout.is_some() {
            sql += concat!("; ", told_to_workers!());
        }
        for (name, limit) in [
            ("lock_timeout", self.lock_timeout),
            ("statement_timeout", self.statement_timeout),
            ("idle_in_transaction_session_timeout", self.idle_timeout),
        ] {
            if let Some(limit) = limit {
                // Zero would switch the limit off; the server's own maximum is i32::MAX milliseconds.
                let millis = limit.as_millis().clamp(1, i32::MAX as u128);
                sql += &format!("; SET LOCAL {name} = {millis}");
            }
        }
        sql
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begin_is_one_query_with_every_setting() {
        assert_eq!(TransactOptions::new(), TransactOptions::default());
        assert_eq!(TransactOptions::new().begin_sql(), "BEGIN");
        let all = TransactOptions::new()
            .with_isolation(Isolation::Serializable)
            .with_read_only(true)
            .with_lock_timeout(Duration::from_millis(250))
            .with_statement_timeout(Duration::ZERO)
            .with_idle_timeout(Duration::MAX);
        assert_eq!(
            all.begin_sql(),
            concat!(
                "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY; ",
                told_to_workers!(),
                "; SET LOCAL lock_timeout = 250; SET LOCAL statement_timeout = 1; \
                 SET LOCAL idle_in_transaction_session_timeout = 2147483647"
            )
        );
        let idle = TransactOptions::new().with_idle_timeout(Duration::from_secs(1));
        assert_eq!(
            idle.begin_sql(),
            "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 1000"
        );
    }
}
