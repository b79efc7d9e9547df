//! Many rows in one statement.

mod deletes;
mod few;
mod inserts;
mod outcomes;
mod refused;
mod storm;
mod suppressed;
mod upserts;

use optilock::sqlx;

use crate::support::bank::{Account, Bank};

impl Bank {
    async fn with_accounts(&self, count: i64) -> Vec<Account> {
        let sql = "INSERT INTO bank.accounts (id, owner, cents)
            SELECT n, 'owner', 100 FROM generate_series(1, $1) AS n";
        sqlx::query(sql)
            .bind(count)
            .execute(&self.pool)
            .await
            .unwrap();
        self.all().await
    }

    async fn all(&self) -> Vec<Account> {
        sqlx::query_as("SELECT id, owner, cents, version FROM bank.accounts ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}
