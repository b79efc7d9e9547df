//! Errors of migrations.

use crate::{
    Class, Classify,
    inventory::model::InvalidValue,
    postgres::{is_created_elsewhere, is_forbidden},
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
            Self::Database(error) => error.class(),
            _ => Class::Permanent,
        }
    }
}
