//! The application's table and its description.

use optilock::{
    Version,
    postgres::PgRepository,
    sqlx::{self, PgPool, Row},
    versioned_row,
};
use rand::seq::index;

use crate::BoxError;

/// An account with a balance and savings.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Account {
    pub(crate) id: i64,
    pub(crate) owner: String,
    pub(crate) cents: i64,
    pub(crate) saved: i64,
    pub(crate) version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account",
    id: id: i64,
    version: version,
    columns: [owner, cents, saved],
} }

/// The `fillfactor` leaves room on each page for the next version of a row.
const TABLE: &str = "CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (
        id      bigint PRIMARY KEY,
        owner   text   NOT NULL,
        cents   bigint NOT NULL CHECK (cents >= 0),
        saved   bigint NOT NULL CHECK (saved >= 0),
        version bigint NOT NULL DEFAULT 1
    ) WITH (fillfactor = 50)";

/// The initial balance of each account.
const CENTS: i64 = 1_000;

#[derive(Clone, Debug)]
pub(crate) struct Bank {
    pub(crate) pool: PgPool,
    pub(crate) accounts: PgRepository<Account>,
    count: i64,
}

/// The sum of all money, and the number of writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Totals {
    pub(crate) sum: i64,
    pub(crate) writes: i64,
}

impl Bank {
    pub(crate) async fn open(pool: &PgPool, count: i64) -> Result<Self, BoxError> {
        sqlx::raw_sql(TABLE).execute(pool).await?;
        let accounts = PgRepository::new(pool.clone());
        accounts.verify().await?;
        for id in 1..=count {
            let (owner, version) = (format!("owner {id}"), Version::FIRST);
            let new = Account {
                id,
                owner,
                cents: CENTS,
                saved: 0,
                version,
            };
            accounts.insert(&new).await?;
        }
        Ok(Self {
            pool: pool.clone(),
            accounts,
            count,
        })
    }

    pub(crate) async fn totals(&self) -> Result<Totals, BoxError> {
        let sums = "SELECT sum(cents + saved)::bigint AS sum, sum(version - 1)::bigint AS writes
            FROM bank.accounts";
        let row = sqlx::query(sums).fetch_one(&self.pool).await?;
        Ok(Totals {
            sum: row.try_get("sum")?,
            writes: row.try_get("writes")?,
        })
    }

    /// Returns the id of a random account.
    pub(crate) fn random_account(&self) -> i64 {
        rand::random_range(1..=self.count)
    }

    /// Returns the ids of two different random accounts.
    pub(crate) fn random_pair(&self) -> (i64, i64) {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let mut pair = index::sample(&mut rand::rng(), count, 2).into_iter();
        let mut next = || pair.next().and_then(|at| i64::try_from(at + 1).ok());
        (next().unwrap_or(1), next().unwrap_or(2))
    }
}
