//! The PostgreSQL server of the program.

use std::{any::Any, env, error::Error, fmt};

use optilock::sqlx::postgres::PgConnectOptions;
use storefront::database;

/// How to reach a PostgreSQL server.
#[derive(Debug)]
pub(crate) struct Server {
    options: PgConnectOptions,
    name: String,
    /// The throwaway server, which ends when it is dropped.
    _throwaway: Option<Box<dyn Any>>,
}

impl Server {
    /// Returns the server at `DATABASE_URL`. If that is not set, starts a throwaway server, which
    /// blocks for about a second.
    ///
    /// # Errors
    ///
    /// `DATABASE_URL` is not an address of PostgreSQL, or no throwaway server can be started.
    pub(crate) fn find_or_start() -> Result<Self, Box<dyn Error>> {
        match env::var("DATABASE_URL") {
            Ok(url) if !url.is_empty() => Self::at(&url),
            _ => Self::throwaway(),
        }
    }

    fn at(url: &str) -> Result<Self, Box<dyn Error>> {
        let options: PgConnectOptions = url
            .parse()
            .map_err(|error| format!("DATABASE_URL is not an address of PostgreSQL: {error}"))?;
        Ok(Self {
            options: options.application_name("storefront"),
            name: format!("the server at DATABASE_URL, database {}", database::NAME),
            _throwaway: None,
        })
    }

    #[cfg(feature = "throwaway")]
    fn throwaway() -> Result<Self, Box<dyn Error>> {
        let server = support::Server::find_or_start(support::Durability::Durable)?;
        Ok(Self {
            options: server.options_of("postgres"),
            name: format!("a throwaway {}", server.version()),
            _throwaway: Some(Box::new(server)),
        })
    }

    #[cfg(not(feature = "throwaway"))]
    fn throwaway() -> Result<Self, Box<dyn Error>> {
        Err(
            "DATABASE_URL is not set: set it to the address of a PostgreSQL server, \
             postgres://user:password@host:5432/postgres"
                .into(),
        )
    }

    pub(crate) fn options_of(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }
}

/// The name, without the address, which may hold a password.
impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
