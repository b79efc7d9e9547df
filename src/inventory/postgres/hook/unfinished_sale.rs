use sqlx::{AssertSqlSafe, postgres::PgQueryResult};
use uuid::Uuid;

use crate::{
    inventory::{
        model::{Error, OrderId, error::Repr},
        postgres::schema::SchemaConnection,
    },
    postgres::is_aborted,
};

/// A sale in a transaction of the host's until its hook has ended.
///
/// Until then its row in `optilock.unfinished_sales` violates a constraint that is checked at `COMMIT`: nothing
/// else undoes a sale whose future was dropped while the host's transaction continues. Each step is one
/// message, which the server executes as a whole. They are plain SQL, as sqlx does not count a transaction that
/// the host began in SQL.
#[must_use]
pub(crate) struct UnfinishedSale {
    order: OrderId,
    call: Uuid,
}

impl UnfinishedSale {
    /// Sets a savepoint. Outside of a transaction the server refuses it, and so the sale: there would be no
    /// transaction to undo.
    pub(crate) async fn begin(
        conn: &mut SchemaConnection<'_>,
        order: OrderId,
    ) -> Result<Self, Error> {
        let call = Uuid::now_v7();
        // The host may have set all constraints to immediate.
        let sql = format!(
            "SAVEPOINT optilock_sale;
             SET CONSTRAINTS optilock.sale_needs_its_hook DEFERRED;
             INSERT INTO optilock.unfinished_sales (order_id, call) VALUES ('{order}', '{call}')"
        );
        if send(conn, sql).await?.rows_affected() == 0 {
            return Err(Error::suppressed("unfinished sale", order));
        }
        Ok(Self { order, call })
    }

    /// Allows the sale to be committed.
    pub(crate) async fn finish(self, conn: &mut SchemaConnection<'_>) -> Result<(), Error> {
        let (order, call) = (self.order, self.call);
        let sql = format!(
            "DELETE FROM optilock.unfinished_sales
                 WHERE order_id = '{order}'::pg_catalog.uuid AND call = '{call}'::pg_catalog.uuid;
             RELEASE SAVEPOINT optilock_sale"
        );
        let Err(error) = send(conn, sql).await else {
            return Ok(());
        };
        // Without this, the host's transaction would lose everything instead of the sale alone.
        self.undo(conn).await?;
        Err(match error.into_repr() {
            Repr::Database(source) if is_aborted(&source) => {
                Error::hook(order, Box::new(IgnoredError(source)))
            }
            other => other.into(),
        })
    }

    /// Undoes the sale alone in the host's transaction.
    pub(crate) async fn undo(self, conn: &mut SchemaConnection<'_>) -> Result<(), Error> {
        let sql = "ROLLBACK TO SAVEPOINT optilock_sale; RELEASE SAVEPOINT optilock_sale";
        send(conn, sql.to_owned()).await.map(drop)
    }
}

/// The error of a hook that returned `Ok` after one of its statements had failed.
#[derive(Debug, thiserror::Error)]
#[error("the hook ignored an error of the database, after which nothing can be committed")]
struct IgnoredError(#[source] sqlx::Error);

/// Sends a text of the crate's own, ids included, as one message.
async fn send(conn: &mut SchemaConnection<'_>, sql: String) -> Result<PgQueryResult, Error> {
    let sql = conn.rewrite(&sql).into_owned();
    let sent = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut **conn).await;
    sent.map_err(Error::before)
}
