//! The row, its table and the handwritten statements.

use optilock::{Version, sqlx, versioned_row};

#[derive(Clone, Debug, sqlx::FromRow)]
pub(super) struct Account {
    pub(super) id: i64,
    pub(super) owner: String,
    pub(super) cents: i64,
    pub(super) version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner, cents],
} }

pub(super) const TABLES: &str = "CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL,
        version bigint NOT NULL DEFAULT 1) WITH (fillfactor = 50);
    CREATE TABLE bank.notes (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, note text NOT NULL);
    INSERT INTO bank.accounts SELECT n, 'owner', 0 FROM generate_series(1, 100) AS n";

pub(super) const READ: &str = "SELECT id, owner, cents, version FROM bank.accounts WHERE id = $1";
pub(super) const LOCK: &str =
    "SELECT id, owner, cents, version FROM bank.accounts WHERE id = $1 FOR UPDATE";
pub(super) const NOTE: &str = "INSERT INTO bank.notes (note) VALUES ($1)";

const WRITE: &str = "UPDATE bank.accounts SET owner = $3, cents = $4, version = version + 1
    WHERE id = $1 AND version = $2 RETURNING id, owner, cents, version";

impl Account {
    pub(super) fn plus_one(mut self) -> Self {
        self.cents += 1;
        self
    }

    /// Writes the row by handwritten SQL.
    pub(super) async fn write<'e>(
        &self,
        executor: impl sqlx::PgExecutor<'e>,
    ) -> Result<Self, sqlx::Error> {
        let write = sqlx::query_as(WRITE).bind(self.id).bind(self.version);
        let write = write.bind(&self.owner).bind(self.cents);
        write.fetch_one(executor).await
    }
}
