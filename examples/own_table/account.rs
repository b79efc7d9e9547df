//! The host's table and what it says of it.

use optilock::{
    Version,
    postgres::PgRepository,
    sqlx::{self, PgPool, Row},
    versioned_row,
};
use rand::seq::index;

use crate::Fault;

/// An account: what can be spent, and what is put by.
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

/// `fillfactor`: room on each page for the row's next version.
const TABLE: &str = "CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (
        id      bigint PRIMARY KEY,
        owner   text   NOT NULL,
        cents   bigint NOT NULL CHECK (cents >= 0),
        saved   bigint NOT NULL CHECK (saved >= 0),
        version bigint NOT NULL DEFAULT 1
    ) WITH (fillfactor = 50)";

/// What every account begins with.
const CENTS: i64 = 1_000;

#[derive(Clone, Debug)]
pub(crate) struct Bank {
    pub(crate) pool: PgPool,
    pub(crate) accounts: PgRepository<Account>,
    count: i64,
}

/// The money there is, and how often any row was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Books {
    pub(crate) sum: i64,
    pub(crate) versions: i64,
}

impl Bank {
    pub(crate) async fn open(pool: &PgPool, count: i64) -> Result<Self, Fault> {
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

    pub(crate) async fn books(&self) -> Result<Books, Fault> {
        let sums = "SELECT sum(cents + saved)::bigint AS sum, sum(version - 1)::bigint AS versions
            FROM bank.accounts";
        let row = sqlx::query(sums).fetch_one(&self.pool).await?;
        Ok(Books {
            sum: row.try_get("sum")?,
            versions: row.try_get("versions")?,
        })
    }

    /// Some account.
    pub(crate) fn any(&self) -> i64 {
        rand::random_range(1..=self.count)
    }

    /// Two different accounts, in no order.
    pub(crate) fn pair(&self) -> (i64, i64) {
        let count = usize::try_from(self.count).unwrap_or(usize::MAX);
        let mut pair = index::sample(&mut rand::rng(), count, 2).into_iter();
        let mut next = || pair.next().and_then(|at| i64::try_from(at + 1).ok());
        (next().unwrap_or(1), next().unwrap_or(2))
    }
}
