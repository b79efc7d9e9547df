//! A host's own table: accounts, whole or in partitions, under each isolation level.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy, Version,
    postgres::PgRepository,
    sqlx::{self, AssertSqlSafe, PgPool},
    versioned_row,
};

use crate::support::db::{Db, Default};

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

    /// The same with so much more, at the version that was read.
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

/// Where a scenario takes place.
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

/// Many at once on two cores, and aborted as long as they run side by side.
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
        sqlx::raw_sql(AssertSqlSafe(table))
            .execute(&db.pool)
            .await
            .unwrap();
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
        sqlx::raw_sql(sql).execute(&self.pool).await.unwrap();
    }
}

/// Until a session of this database waits for a lock.
pub async fn until_waiting(pool: &PgPool) {
    let query = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let waiting: i64 = sqlx::query_scalar(query).fetch_one(pool).await.unwrap();
        if waiting > 0 {
            return;
        }
        assert!(Instant::now() < deadline, "nobody waits for a lock");
        tokio::task::yield_now().await;
    }
}

/// The scenario under each isolation level, and on a partitioned table.
pub async fn everywhere(scenario: impl AsyncFn(&Bank)) {
    for place in PLACES {
        println!("{place:?}");
        scenario(&Bank::open(place).await).await;
    }
}

/// In a transaction that begins plainly, and so has the session's isolation level.
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

/// The same as a role that may read and update accounts, and whom policies bind.
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

/// Triggers by which an `UPDATE` counts as one of a row, and leaves its version as it was.
pub const KEEPERS: [&str; 2] = [
    "CREATE FUNCTION bank.keep() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN NEW.version := OLD.version; RETURN NEW; END';
     CREATE TRIGGER keep BEFORE UPDATE ON bank.accounts FOR EACH ROW WHEN (NEW.id <> 2)
         EXECUTE FUNCTION bank.keep()",
    "CREATE FUNCTION bank.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
     CREATE TRIGGER keep BEFORE UPDATE ON bank.accounts FOR EACH ROW WHEN (NEW.id <> 2)
         EXECUTE FUNCTION bank.keep()",
];

/// A table that inherits from accounts, with ids of its own. A partitioned table can't have one.
pub const CHILD: &str = "CREATE TABLE bank.child () INHERITS (bank.accounts)";
