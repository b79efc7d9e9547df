//! A database of a test, bench or example.

use std::fmt;
use std::thread;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::{Error, Server};

/// A database that is dropped with this value, which blocks. [`Database::remove`] does not block.
pub struct Database {
    name: String,
    url: String,
    options: PgConnectOptions,
    maintenance: Option<PgConnectOptions>,
}

impl Database {
    pub(super) async fn create(
        server: &Server,
        prefix: &str,
        template: &str,
    ) -> Result<Self, Error> {
        let name = format!(
            "optilock_{prefix}_{}_{:016x}",
            std::process::id(),
            rand::random::<u64>()
        );
        assert!(
            name.len() < 64
                && name
                    .chars()
                    .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')),
            "{prefix} must be short, of lower-case letters, digits and underscores: names are neither quoted nor truncated"
        );
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        execute(&server.options, statement)
            .await
            .map_err(|reason| Error::Database {
                name: name.clone(),
                action: "created",
                reason,
            })?;
        Ok(Self {
            url: server.url_of(&name),
            options: server.options_of(&name),
            maintenance: Some(server.options.clone()),
            name,
        })
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the URL, which may contain a password.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the connect options.
    #[must_use]
    pub fn options(&self) -> PgConnectOptions {
        self.options.clone()
    }

    /// Drops the database and closes all connections to it.
    ///
    /// # Errors
    /// [`Error::Database`]; the database then remains.
    pub async fn remove(mut self) -> Result<(), Error> {
        let name = self.name.clone();
        // Cleared only afterwards: if this future is dropped before its end, `Drop` removes the database.
        let Some(maintenance) = self.maintenance.clone() else {
            return Ok(());
        };
        let outcome = execute(&maintenance, dropping(&name)).await;
        self.maintenance = None;
        outcome.map_err(|reason| Error::Database {
            name,
            action: "dropped",
            reason,
        })
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(maintenance) = self.maintenance.take() {
            let removal = execute(&maintenance, dropping(&self.name));
            // Errors are ignored: a throwaway server may have stopped, and a panic may be in progress.
            let _ =
                blocking(async { tokio::time::timeout(Duration::from_secs(10), removal).await });
        }
    }
}

/// Shows only the name: the URL may contain a password.
impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Database").field(&self.name).finish()
    }
}

fn dropping(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
}

async fn execute(options: &PgConnectOptions, statement: String) -> Result<(), sqlx::Error> {
    let mut connection = PgConnection::connect_with(options).await?;
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await?;
    connection.close().await
}

/// Runs `work` to completion. It uses a thread, because a runtime must not be entered from within another.
pub(super) fn blocking<T: Send>(work: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| {
        scope
            .spawn(|| {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be built")
                    .block_on(work)
            })
            .join()
            .expect("the work does not panic")
    })
}

/// Returns `url` with another database. It edits the text, because sqlx's options cannot be converted to a URL
/// without loss.
pub(super) fn url_of(url: &str, database: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let authority = address.find("://").map_or(0, |at| at + 3);
    let path = address[authority..]
        .find('/')
        .map_or(address.len(), |at| authority + at);
    // A `dbname` in the query would take precedence over the path.
    let query: Vec<_> = query
        .split('&')
        .filter(|pair| !pair.is_empty() && !pair.starts_with("dbname="))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{database}{mark}{}", &address[..path], query.join("&"))
}
