//! The check of the host's table against its row type.

mod id;
mod many;
mod table;

#[cfg(doc)]
use crate::postgres::ErrorKind;
use sqlx::{Column as _, Executor, PgConnection, Statement, TypeInfo, postgres::PgTypeInfo};

use super::PgRepository;
use crate::{
    Class, Classify,
    postgres::{
        error::Error,
        row::{PgVersioned, Role},
    },
};
use table::check_table;

impl<T: PgVersioned> PgRepository<T> {
    /// Checks that the table fits its description by [`versioned_row!`](crate::versioned_row), and reports
    /// everything that does not fit.
    ///
    /// Run it at the start of an application and in its tests. It checks that
    ///
    /// - the table and its columns exist, and their types can be read and written;
    /// - the version is `NOT NULL`, of the integer type that is described (`bigint`), and without a default below
    ///   the first version that is described (1);
    /// - the id is unique and found by its index, and no table inherits from this one other than as a
    ///   partition;
    /// - the unique index of the id is not deferrable, as `ON CONFLICT` does not use such an index;
    /// - this role may read, insert, update and delete;
    /// - the database accepts the statements, with the expressions of `on_update` and `only`;
    /// - one row, if there is any, can be read and is found by its id.
    ///
    /// It writes nothing and locks no row. It does not detect what triggers do to a write.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SchemaMismatch`] with all problems.
    pub async fn verify(&self) -> Result<(), Error> {
        self.run(async |conn: &mut PgConnection| self.verify_in(conn).await)
            .await
    }

    /// Runs [`verify`](Self::verify) on the caller's connection. If it is in a transaction, a problem may
    /// abort the transaction, as a statement that the database refuses has failed.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify).
    pub async fn verify_in(&self, conn: &mut PgConnection) -> Result<(), Error> {
        let mut problems = check_table::<T>(conn).await?;
        if problems.is_empty() {
            problems = self.types(conn).await?;
        }
        if problems.is_empty() {
            problems.extend(self.many(conn).await?);
        }
        if problems.is_empty() {
            problems.extend(self.sample(conn).await?);
        }
        if problems.is_empty() {
            return Ok(());
        }
        Err(Error::schema_mismatch::<T>(problems))
    }

    /// Checks the types by the statement that reads a row, and has the database prepare the others.
    async fn types(&self, conn: &mut PgConnection) -> Result<Vec<String>, Error> {
        let mut problems = Vec::new();
        let prepared = match (&mut *conn).prepare(self.sql.sample.clone()).await {
            Ok(prepared) => prepared,
            Err(error) => return Ok(vec![refused("reads", error)?]),
        };
        let typed = T::COLUMNS
            .iter()
            .filter(|column| matches!(column.role, Role::Id | Role::Version | Role::Written(_)));
        for (column, rust) in typed.zip(T::types()) {
            let found = prepared
                .columns()
                .iter()
                .find(|found| found.name() == column.name);
            let Some(found) = found.map(|found| found.type_info()) else {
                continue;
            };
            let (name, wanted) = (column.name, (rust.info)());
            if matches!(column.role, Role::Version) {
                problems.extend(of_version::<T>(name, found.name()));
            } else if !(rust.reads)(found) {
                problems.push(format!(
                    "column {name} is {}, the field is {}",
                    found.name(),
                    wanted.name()
                ));
            }
        }
        // With the types that will be sent: the connection keeps what it prepares.
        let types: Vec<PgTypeInfo> = T::types().iter().map(|rust| (rust.info)()).collect();
        let inserted = &types[if T::GENERATED_ID { T::ID_COLUMNS } else { 0 }..];
        for (what, sql, types) in [
            ("writes", &self.sql.update, &*types),
            ("writes", &self.sql.insert, inserted),
            ("deletes", &self.sql.delete, &types[..=T::ID_COLUMNS]),
        ] {
            if problems.is_empty()
                && let Err(error) = (&mut *conn).prepare_with(sql.clone(), types).await
            {
                problems.push(refused(what, error)?);
            }
        }
        if problems.is_empty() {
            let ids = prepared.columns().iter().zip(&types).take(T::ID_COLUMNS);
            let ids = ids.map(|(column, field)| (column.type_info().name(), field.name()));
            let ids: Vec<_> = ids.collect();
            problems.extend(self.index(conn, &ids).await?);
        }
        Ok(problems)
    }
}

/// Returns the problem of a version's column whose type is not the one that is described.
fn of_version<T: PgVersioned>(column: &str, found: &str) -> Option<String> {
    let (wanted, described) = T::VERSION.int.names();
    if found == wanted {
        return None;
    }
    let advice = match found {
        "INT2" | "INT4" | "INT8" => format!("describe it `as {}`", found.to_lowercase()),
        _ => "make it a bigint".to_owned(),
    };
    Some(format!(
        "column {column} is {found}, and is described as {described}: {advice}"
    ))
}

/// Returns the problem of a statement that the database refuses. As its columns exist, the cause is in
/// `on_update`, in `only`, or in a rule.
fn refused(what: &str, error: sqlx::Error) -> Result<String, Error> {
    match error {
        // The next call may succeed.
        other if other.class() != Class::Permanent => Err(Error::before(other)),
        sqlx::Error::Database(error) => {
            let why = error.message();
            Ok(format!("the statement that {what} is refused: {why}"))
        }
        sqlx::Error::TypeNotFound { type_name } => Ok(format!(
            "there is no type {type_name}, or it is in a schema that is neither named nor searched"
        )),
        other => Err(Error::before(other)),
    }
}
