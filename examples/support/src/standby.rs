//! Standbys of a throwaway server, crashes and failovers.

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection};

use super::{Crash, Error, Server, cluster::Cluster, database};

impl Server {
    /// Crashes a throwaway server and restarts it with its data. Blocks.
    ///
    /// # Errors
    /// [`Error::Cluster`] if the restart fails, or if the server is the one at `DATABASE_URL`.
    pub fn crash_and_restart(&mut self, crash: Crash) -> Result<(), Error> {
        self.crash(crash)?;
        self.restart()
    }

    /// Crashes a throwaway server. Blocks.
    ///
    /// # Errors
    /// [`Error::Cluster`], also if the server is the one at `DATABASE_URL`.
    pub fn crash(&mut self, crash: Crash) -> Result<(), Error> {
        let cluster = self.cluster.as_mut().ok_or_else(not_throwaway)?;
        cluster.crash(crash).map_err(Error::Cluster)
    }

    /// Starts a throwaway server with its data after a crash. Blocks.
    ///
    /// # Errors
    /// As [`Server::crash`].
    pub fn restart(&mut self) -> Result<(), Error> {
        let cluster = self.cluster.as_mut().ok_or_else(not_throwaway)?;
        cluster.restart().map_err(Error::Cluster)
    }

    /// Starts a standby of a throwaway server, by `pg_basebackup`. It is removed as the server is, and has the same
    /// databases. Blocks.
    ///
    /// # Errors
    /// As [`Server::crash`].
    pub fn start_standby(&self) -> Result<Self, Error> {
        let cluster = self.own()?.start_standby().map_err(Error::Cluster)?;
        Self::of(cluster)
    }

    /// Makes a standby accept writes, after it has replayed what it has received. Blocks until it does.
    ///
    /// # Errors
    /// As [`Server::crash`].
    pub fn promote(&self) -> Result<(), Error> {
        self.own()?;
        match database::blocking(promote(self)) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Error::Cluster("the standby is not promoted".to_owned())),
            Err(error) => Err(Error::Cluster(error.to_string())),
        }
    }

    /// Changes a setting that takes effect without a restart, in all sessions. Blocks.
    ///
    /// # Errors
    /// As [`Server::crash`].
    pub fn configure(&self, setting: &str, value: &str) -> Result<(), Error> {
        self.own()?;
        let change = format!(
            "ALTER SYSTEM SET {setting} = '{}'",
            value.replace('\'', "''")
        );
        database::blocking(configure(self, change))
            .map_err(|error| Error::Cluster(error.to_string()))
    }

    fn own(&self) -> Result<&Cluster, Error> {
        self.cluster.as_ref().ok_or_else(not_throwaway)
    }
}

fn not_throwaway() -> Error {
    Error::Cluster("the server at DATABASE_URL is not this program's own".to_owned())
}

async fn promote(standby: &Server) -> Result<bool, sqlx::Error> {
    let mut connection = PgConnection::connect_with(&standby.options).await?;
    let promoted = sqlx::query_scalar("SELECT pg_promote()")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    Ok(promoted)
}

async fn configure(server: &Server, change: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(&server.options).await?;
    for statement in [change, "SELECT pg_reload_conf()".to_owned()] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
    }
    connection.close().await
}
