//! The check of the statements that insert many rows.

use sqlx::PgConnection;

use super::refused;
use crate::postgres::{
    error::Error,
    repository::{PgRepository, insert_all, unencodable, upsert},
    row::PgVersioned,
    sql::{Pass, ours},
};

impl<T: PgVersioned> PgRepository<T> {
    /// Has the database plan the statements that insert and upsert many rows. It may refuse them although it accepts an
    /// insert of one row: for a rule, or an expression of `on_update` without the type of its column.
    pub(super) async fn many(&self, conn: &mut PgConnection) -> Result<Option<String>, Error> {
        let inserts = insert_all::arguments::<T>(&[]);
        let mut statements = vec![("inserts many rows", &self.sql.insert_all, inserts)];
        if !T::GENERATED_ID && !T::UNIQUE_ID {
            let upserts = upsert::arguments::<T>(&[], Pass::Strict);
            statements.push(("upserts", &self.sql.upsert_all, upserts));
        }
        for (what, sql, arguments) in statements {
            let explain = ours(format!("EXPLAIN {}", sql.as_str()));
            let plan = sqlx::query_with(explain, arguments.map_err(unencodable)?)
                .fetch_all(&mut *conn)
                .await;
            if let Err(error) = plan {
                return refused(what, error).map(Some);
            }
        }
        Ok(None)
    }
}
