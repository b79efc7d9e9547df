//! The migrations: what they do, and since when which version of the crate can read the result.

use std::borrow::Cow;

use sqlx::{
    SqlSafeStr,
    migrate::{Migration, MigrationType},
};

use super::step::Step;

/// A migration. Its steps are statements that each can be repeated, so that a process which is killed between two of
/// them leaves nothing that the next one can't continue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text {
    pub(super) version: i64,
    pub(super) description: &'static str,
    sql: &'static str,
    /// The oldest version of the crate that works on the tables after this migration, by its last migration. An
    /// older one has to be stopped before this migration is made.
    pub(super) readable_since: i64,
}

pub(super) const MIGRATIONS: &[Text] = &[
    Text {
        version: 1,
        description: "inventory",
        sql: include_str!("../../../../migrations/0001_inventory.sql"),
        readable_since: 1,
    },
    Text {
        version: 2,
        description: "orders of a customer",
        sql: include_str!("../../../../migrations/0002_orders_of_a_customer.sql"),
        readable_since: 1,
    },
    Text {
        version: 3,
        description: "movements of an order",
        sql: include_str!("../../../../migrations/0003_movements_of_an_order.sql"),
        readable_since: 1,
    },
    Text {
        version: 4,
        description: "archive",
        sql: include_str!("../../../../migrations/0004_archive.sql"),
        readable_since: 1,
    },
];

/// The last migration that this version of the crate knows.
pub(super) const LAST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].version;

impl Text {
    /// Returns its statements, in their order.
    pub(super) fn steps(self) -> impl Iterator<Item = Step> {
        self.sql
            .split_inclusive(";\n")
            .map(str::trim)
            .filter(|text| !text.is_empty())
            .map(Step::new)
    }

    /// Returns the checksum that `sqlx migrate` has for the file.
    pub(super) fn checksum(self) -> Cow<'static, [u8]> {
        let (kind, sql) = (MigrationType::Simple, self.sql.into_sql_str());
        Migration::new(self.version, self.description.into(), kind, sql, true).checksum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_numbered_and_the_tables_stay_readable() {
        for (text, number) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(text.version, number);
            assert!(text.readable_since <= number, "{text:?}");
        }
    }

    /// A step that is made twice, by two processes or after a crash, has the effect of one.
    #[test]
    fn each_step_is_one_statement_that_can_be_repeated() {
        for text in MIGRATIONS {
            for step in text.steps() {
                let code: String = step
                    .text()
                    .lines()
                    .filter(|line| !line.trim().starts_with("--"))
                    .collect();
                assert_eq!(code.matches(';').count(), 1, "{code}");
                let repeatable = [
                    "CREATE TABLE IF NOT EXISTS",
                    "CREATE UNLOGGED TABLE IF NOT EXISTS",
                    "CREATE INDEX IF NOT EXISTS",
                    "CREATE UNIQUE INDEX IF NOT EXISTS",
                    "CREATE INDEX CONCURRENTLY IF NOT EXISTS",
                    "ALTER TABLE optilock.products SET (fillfactor = 70)",
                    "ALTER TABLE optilock.orders ADD COLUMN IF NOT EXISTS",
                    "ALTER TABLE optilock.reservations ADD COLUMN IF NOT EXISTS",
                ];
                assert!(
                    repeatable.iter().any(|begin| code.starts_with(begin)),
                    "{code}"
                );
                assert!(!code.to_uppercase().contains("TRIGGER"), "{code}");
            }
        }
    }
}
