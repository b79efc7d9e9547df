//! Changes that an earlier attempt or call made, and the synchronous standby that may lack them.
//!
//! PostgreSQL shows a change when the session ended whose commit waited for the standby, or when the server
//! restarted, although the standby may not have it: a failover would lose it. A change of the current attempt was
//! waited for.

use super::Executor;
use crate::{
    Class, Classify,
    inventory::{
        model::Error,
        postgres::{schema::SchemaConnection, sql},
    },
    postgres::BoxFuture,
    with_retry,
};

impl Executor {
    /// Waits until the synchronous standby has what a read or a batch has shown. Only a conflict is tried again: a wait
    /// that was ended says nothing.
    pub(crate) fn shown_is_replicated(&self) -> BoxFuture<'_, Result<(), Error>> {
        // Allocated here, so that the futures of all operations are small.
        Box::pin(async {
            let policy = self.policy.clone().with_label("replicated");
            let replicated = with_retry(&policy, |_| async {
                match self.replicated().await {
                    Err(error) if error.class() == Class::Conflict => Err(error),
                    ended => Ok(ended),
                }
            });
            replicated.await.map_err(Error::from)?
        })
    }

    /// Waits until the synchronous standby has what this server shows, if there is one.
    pub(crate) fn replicated(&self) -> BoxFuture<'_, Result<(), Error>> {
        // Allocated, as above.
        Box::pin(async { self.ask(&|conn, _| Box::pin(wait(conn))).await })
    }
}

async fn wait(conn: &mut SchemaConnection<'_>) -> Result<(), Error> {
    let names = sqlx::query_scalar(conn.sql(sql::executor::NAMES))
        .fetch_one(&mut **conn)
        .await;
    let names: Option<String> = names.map_err(Error::before)?;
    if names.is_some_and(|names| !names.is_empty()) {
        let flush = sqlx::query(conn.sql(sql::executor::FLUSH))
            .execute(&mut **conn)
            .await;
        flush.map_err(Error::before)?;
    }
    Ok(())
}
