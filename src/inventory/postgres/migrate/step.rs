//! A step of a migration: one statement.

use sqlx::PgPool;

use super::{error::MigrateError, index::Index, statement::run};
use crate::inventory::postgres::schema::Schema;

/// A statement of a migration, which can be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step(&'static str);

impl Step {
    pub(super) const fn new(text: &'static str) -> Self {
        Self(text)
    }

    pub(super) const fn text(self) -> &'static str {
        self.0
    }

    /// Returns the name, without its schema, of the table or index that it creates.
    pub(super) fn creates(self) -> Option<&'static str> {
        let (create, rest) = self.0.split_once(" IF NOT EXISTS ")?;
        if !create.contains("CREATE ") {
            return None;
        }
        let name = rest.split(' ').next()?;
        Some(name.trim_start_matches("optilock."))
    }

    /// Makes it in a transaction of its own, or outside of any if it builds an index while the table is written.
    pub(super) async fn make(self, pool: &PgPool, schema: &Schema) -> Result<(), MigrateError> {
        let Some(text) = schema.dialect().step(self.0) else {
            return Ok(());
        };
        match Index::built_by(self.0) {
            Some(index) => index.build(pool, schema, &text).await,
            None => run(pool, &schema.rewrite(&text)).await,
        }
    }
}
