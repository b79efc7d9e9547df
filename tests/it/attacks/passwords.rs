//! A role whose login the server checks. All other logins of a throwaway server are trusted.

use optilock::sqlx::{
    self, AssertSqlSafe, Connection, PgConnection, PgPool, postgres::PgConnectOptions,
};
use tokio::sync::OnceCell;

use super::Cell;
use crate::support::db::{Db, eventually, server};
use support::Source;

const ROLE: &str = "optilock_asked_for_a_password";

pub const NOT_ASKED: Cell =
    Cell::CannotApply("the server at DATABASE_URL is not reconfigured to ask for a password");

/// Returns options with a wrong password, or `None` for a server of the caller.
pub async fn wrong(db: &Db) -> Option<PgConnectOptions> {
    static ASKED: OnceCell<()> = OnceCell::const_new();
    if server().source() == Source::Url {
        return None;
    }
    let options = db.database.options().username(ROLE).password("wrong");
    ASKED.get_or_init(|| ask(&db.pool, &options)).await;
    Some(options)
}

/// Creates the role and makes the server ask for its password.
async fn ask(pool: &PgPool, wrong: &PgConnectOptions) {
    let file: String = sqlx::query_scalar("SELECT current_setting('hba_file')")
        .fetch_one(pool)
        .await
        .unwrap();
    let rules = format!(
        "local all {ROLE} scram-sha-256\nhost all {ROLE} all scram-sha-256\nlocal all all trust\nhost all all all trust"
    );
    let ask = format!(
        "CREATE ROLE {ROLE} LOGIN PASSWORD 'right';
         COPY (SELECT unnest(string_to_array($${rules}$$, chr(10)))) TO '{file}';
         SELECT pg_reload_conf()"
    );
    sqlx::raw_sql(AssertSqlSafe(ask))
        .execute(pool)
        .await
        .unwrap();
    eventually("the server asks for the password", async || {
        PgConnection::connect_with(wrong).await.is_err()
    })
    .await;
}
