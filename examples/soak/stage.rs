//! What faults act on: the server, the connections and the client processes.

use std::sync::Arc;

use optilock::sqlx::{self, AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};
use support::Server;
use tokio::sync::Mutex;

use crate::{BoxError, processes::Processes, proxy::Proxy};

/// The role of the client processes.
pub(crate) const ROLE: &str = "soak_shop";

/// It may do what the crate's operations need, and no more. Row-level policies apply to it.
const GRANTS: &str = "CREATE ROLE soak_shop LOGIN;
    GRANT USAGE ON SCHEMA optilock, bank TO soak_shop;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA optilock, bank TO soak_shop;
    CREATE SCHEMA soak;
    GRANT USAGE ON SCHEMA soak TO soak_shop;
    CREATE SEQUENCE soak.acted;
    GRANT ALL ON SEQUENCE soak.acted TO soak_shop";

#[derive(Clone, Debug)]
pub(crate) struct Stage {
    pub(crate) server: Arc<Mutex<Server>>,
    /// As the owner of the tables, past the proxy.
    pub(crate) options: PgConnectOptions,
    pub(crate) proxy: Proxy,
    pub(crate) processes: Arc<Mutex<Processes>>,
}

impl Stage {
    /// Creates the role, and what triggers count with.
    pub(crate) async fn create_role(options: &PgConnectOptions) -> Result<(), BoxError> {
        let mut conn = PgConnection::connect_with(options).await?;
        sqlx::raw_sql(GRANTS).execute(&mut conn).await?;
        conn.close().await?;
        Ok(())
    }

    /// Opens a connection that waits for no lock longer than half a second.
    pub(crate) async fn connect(&self) -> Result<PgConnection, BoxError> {
        let mut conn = PgConnection::connect_with(&self.options).await?;
        sqlx::raw_sql("SET lock_timeout = '500ms'")
            .execute(&mut conn)
            .await?;
        Ok(conn)
    }

    /// Runs statements on a connection of their own.
    pub(crate) async fn run(&self, statements: impl Into<String>) -> Result<(), BoxError> {
        let mut conn = self.connect().await?;
        run(&mut conn, statements).await?;
        conn.close().await?;
        Ok(())
    }

    /// Ends these sessions of the clients. Returns their number.
    pub(crate) async fn terminate(&self, limit: i64) -> Result<u64, BoxError> {
        self.signal("pg_terminate_backend", "true", limit).await
    }

    /// Cancels statements of the clients that run now. Returns their number.
    pub(crate) async fn cancel(&self, limit: i64) -> Result<u64, BoxError> {
        self.signal("pg_cancel_backend", "state = 'active'", limit)
            .await
    }

    async fn signal(&self, function: &str, which: &str, limit: i64) -> Result<u64, BoxError> {
        let mut conn = self.connect().await?;
        let signal = format!(
            "SELECT count(*) FILTER (WHERE {function}(pid)) FROM (
                SELECT pid FROM pg_stat_activity WHERE usename = '{ROLE}' AND {which}
                ORDER BY random() LIMIT {limit}) AS s"
        );
        let sent: i64 = sqlx::query_scalar(AssertSqlSafe(signal))
            .fetch_one(&mut conn)
            .await?;
        conn.close().await?;
        Ok(sent.unsigned_abs())
    }
}

pub(crate) async fn run(
    conn: &mut PgConnection,
    statements: impl Into<String>,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statements.into()))
        .execute(conn)
        .await
        .map(drop)
}
