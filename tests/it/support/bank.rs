//! A table of a host: accounts, partitioned or not, under each default isolation level.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy, Version,
    postgres::PgRepository,
    sqlx::{self, PgPool},
    versioned_row,
};

use crate::support::{
    db::{Db, Default, sessions_waiting},
    triggers::run,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Account {
    pub id: i64,
    pub owner: String,
    pub cents: i64,
    pub version: Version,
}

versioned_row! { Account in "bank.accounts" {
    entity: "account",
    id: id: i64,
    version: version,
    columns: [owner, cents],
} }

impl Account {
    pub fn new(id: i64, cents: i64) -> Self {
        let (owner, version) = (format!("owner {id}"), Version::FIRST);
        Self {
            id,
            owner,
            cents,
            version,
        }
    }

    /// Returns a copy with `cents` added, at the version that was read.
    pub fn plus(&self, cents: i64) -> Self {
        Self {
            cents: self.cents + cents,
            ..self.clone()
        }
    }
}

pub const TABLE: &str = "CREATE SCHEMA bank;
    CREATE TABLE bank.accounts (
        id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL,
        version bigint NOT NULL DEFAULT 1)";

const PARTITIONS: &str = " PARTITION BY HASH (id);
    CREATE TABLE bank.accounts_0 PARTITION OF bank.accounts FOR VALUES WITH (MODULUS 3, REMAINDER 0);
    CREATE TABLE bank.accounts_1 PARTITION OF bank.accounts FOR VALUES WITH (MODULUS 3, REMAINDER 1);
    CREATE TABLE bank.accounts_2 PARTITION OF bank.accounts FOR VALUES WITH (MODULUS 3, REMAINDER 2)";

/// The database that a scenario runs in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    pub default: Default,
    pub partitioned: bool,
}

pub const PLACES: [Place; 4] = {
    const fn whole(default: Default) -> Place {
        let partitioned = false;
        Place {
            default,
            partitioned,
        }
    }
    [
        whole(Default::ReadCommitted),
        whole(Default::RepeatableRead),
        whole(Default::Serializable),
        Place {
            default: Default::ReadCommitted,
            partitioned: true,
        },
    ]
};

/// A policy for many concurrent transactions on two cores, which abort each other often.
pub const PATIENT: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(100)
    .with_deadline(None);

#[derive(Clone)]
pub struct Bank {
    pub place: Place,
    pub accounts: PgRepository<Account>,
    pub pool: PgPool,
    pub db: Arc<Db>,
}

impl Bank {
    pub async fn open(place: Place) -> Self {
        let db = Db::empty_with(place.default, 16).await;
        let table = format!("{TABLE}{}", if place.partitioned { PARTITIONS } else { "" });
        run(&db.pool, table).await;
        Self {
            place,
            accounts: PgRepository::new(db.pool.clone()),
            pool: db.pool.clone(),
            db: Arc::new(db),
        }
    }

    pub async fn account(&self, id: i64, cents: i64) -> Account {
        self.accounts
            .insert(&Account::new(id, cents))
            .await
            .unwrap()
    }

    pub async fn sum(&self) -> i64 {
        sqlx::query_scalar("SELECT sum(cents)::bigint FROM bank.accounts")
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    pub async fn run(&self, sql: &'static str) {
        run(&self.pool, sql).await;
    }
}

/// Waits until a session of this database waits for a lock, for twenty seconds at most.
pub async fn until_waiting(pool: &PgPool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while sessions_waiting(pool).await == 0 {
        assert!(Instant::now() < deadline, "no session waits for a lock");
        tokio::task::yield_now().await;
    }
}

/// Runs a scenario under each default isolation level and on a partitioned table.
pub async fn everywhere(scenario: impl AsyncFn(&Bank)) {
    for place in PLACES {
        println!("{place:?}");
        scenario(&Bank::open(place).await).await;
    }
}

/// Runs a block in a transaction with the session's default isolation level.
macro_rules! transaction {
    ($bank:expr, $conn:ident => $body:block) => {{
        let mut transaction = $bank.pool.begin().await.unwrap();
        let $conn = &mut *transaction;
        let result = $body;
        transaction.commit().await.unwrap();
        result
    }};
}
pub(crate) use transaction;

/// Runs the same as a role that can read and update accounts and is subject to policies.
macro_rules! as_clerk {
    ($bank:expr, $conn:ident => $body:block) => {
        $crate::support::db::with_role(&$bank.pool, async |role| {
            $crate::support::bank::transaction!($bank, $conn => {
                let become_clerk = format!(
                    "GRANT USAGE ON SCHEMA bank TO {role};
                     GRANT SELECT, UPDATE ON bank.accounts TO {role};
                     SET LOCAL ROLE {role}"
                );
                sqlx::raw_sql(sqlx::AssertSqlSafe(become_clerk))
                    .execute(&mut *$conn)
                    .await
                    .unwrap();
                $body
            })
        })
        .await
    };
}
pub(crate) use as_clerk;

/// Triggers that let an `UPDATE` count a row as updated and keep its old version.
pub const KEEPERS: [&str; 2] = [
    "CREATE FUNCTION bank.keep() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN NEW.version := OLD.version; RETURN NEW; END';
     CREATE TRIGGER keep BEFORE UPDATE ON bank.accounts FOR EACH ROW WHEN (NEW.id <> 2)
         EXECUTE FUNCTION bank.keep()",
    "CREATE FUNCTION bank.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
     CREATE TRIGGER keep BEFORE UPDATE ON bank.accounts FOR EACH ROW WHEN (NEW.id <> 2)
         EXECUTE FUNCTION bank.keep()",
];

/// A table that inherits from accounts and has its own ids. A partitioned table cannot have one.
pub const CHILD: &str = "CREATE TABLE bank.child () INHERITS (bank.accounts)";
