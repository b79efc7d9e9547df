//! Errors of migrations.

use crate::{
    Class, Classify,
    inventory::{model::InvalidValue, postgres::schema::Schema},
    postgres::{is_created_elsewhere, is_forbidden, is_read_only},
};

/// Errors returned by [`migrate`](crate::migrate).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// A newer version of the crate has migrated these tables, and this one can't work on them.
    #[error(
        "the schema {schema} is at migration {found}, and only a version of optilock that knows migration {needed} can \
         work on it; this one knows {known}: update optilock"
    )]
    Ahead {
        /// The schema.
        schema: String,
        /// The newest migration in the schema.
        found: i64,
        /// The migration that a version of the crate must know to work on these tables.
        needed: i64,
        /// The newest migration of this version of the crate.
        known: i64,
    },
    /// A migration was applied with another text than that of the crate.
    #[error(
        "migration {version} of the schema {schema} was applied with another text: its tables were created by an \
         unreleased version of optilock, or by hand"
    )]
    Modified {
        /// The schema.
        schema: String,
        /// The number of the migration.
        version: i64,
    },
    /// The schema has a table or an index of a name that the crate uses, and the crate did not create it.
    #[error(
        "the schema {schema} has a relation {relation} that optilock did not create: give the inventory a schema of its own"
    )]
    Foreign {
        /// The schema.
        schema: String,
        /// The table, index or view, without its schema.
        relation: String,
    },
    /// A write of the history was suppressed by a trigger or a row-level policy of the host's.
    #[error("a trigger or a policy suppresses writes of the table {table} of the schema {schema}")]
    Suppressed {
        /// The schema.
        schema: String,
        /// The table, without its schema.
        table: &'static str,
    },
    /// An index is not valid, as another process builds it, or as its build failed each time.
    #[error("the index {index} of the schema {schema} is not built yet")]
    NotBuilt {
        /// The schema.
        schema: String,
        /// The index, without its schema.
        index: &'static str,
    },
    /// The schema does not exist, and this role may not create it.
    #[error(
        "the schema {schema} is missing and this role may not create it: as an owner of the database, \
         run CREATE SCHEMA {schema} AUTHORIZATION <this role>"
    )]
    NoSchema {
        /// The schema, quoted as in SQL.
        schema: String,
        /// The error of the database.
        source: sqlx::Error,
    },
    /// The name of the schema can't be one.
    #[error(transparent)]
    InvalidSchema(#[from] InvalidValue),
    /// The database failed or refused a statement.
    #[error("the database failed while migrating: {0}")]
    Database(#[source] sqlx::Error),
}

impl MigrateError {
    pub(super) fn foreign(schema: &Schema, relation: &str) -> Self {
        Self::Foreign {
            schema: schema.name().to_owned(),
            relation: relation.to_owned(),
        }
    }

    pub(super) fn suppressed(schema: &Schema, table: &'static str) -> Self {
        Self::Suppressed {
            schema: schema.name().to_owned(),
            table,
        }
    }

    /// Returns the error of the statement that creates a schema.
    pub(super) fn of_schema(schema: String, source: sqlx::Error) -> Self {
        match is_forbidden(&source) {
            true => Self::NoSchema { schema, source },
            false => source.into(),
        }
    }
}

impl From<sqlx::Error> for MigrateError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

impl Classify for MigrateError {
    fn class(&self) -> Class {
        match self {
            // `IF NOT EXISTS` looks before another process commits the same object.
            Self::Database(error) if is_created_elsewhere(error) => Class::Conflict,
            // A standby, or a role that may not write: no attempt soon will be different.
            Self::Database(error) if is_read_only(error) => Class::Permanent,
            Self::Database(error) => error.class(),
            Self::NotBuilt { .. } => Class::Busy { retry_after: None },
            _ => Class::Permanent,
        }
    }
}
