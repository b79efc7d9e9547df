//! The migrations of the guide's page on tables in use, on a table with readers and writers.

mod index;
mod page;
mod rollout;

use std::time::Duration;

use optilock::{
    RetryError, RetryPolicy, Version,
    postgres::{Error, PgRepository},
    sqlx::{self, PgPool, migrate::Migrator, postgres::PgConnectOptions},
    versioned_row,
};
use tokio::task::JoinSet;

use self::page::Folder;
use crate::{
    recipes::migrations_in_use::recipe::{self as migrations_in_use, BoxError},
    support::db::{Db, assert_idle},
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Account {
    id: i64,
    owner: String,
    cents: i64,
    version: Version,
}

versioned_row! { Account in "shop.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner, cents],
} }

/// Runs migrations as the page says.
async fn migrate(
    options: &PgConnectOptions,
    migrator: &Migrator,
) -> Result<(), RetryError<BoxError>> {
    migrations_in_use::migrate(options, migrator, &["shop.accounts_id"]).await
}

/// Creates a table whose id has no index.
async fn table(rows: i64) -> Db {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE SCHEMA shop;
         CREATE TABLE shop.accounts (id bigint NOT NULL, owner text NOT NULL, cents bigint NOT NULL)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    sqlx::query("INSERT INTO shop.accounts SELECT n, 'owner', 0 FROM generate_series(1, $1) AS n")
        .bind(rows)
        .execute(&db.pool)
        .await
        .unwrap();
    db
}

/// Writes a row without regard to its version.
async fn old_write(pool: &PgPool, id: i64) {
    sqlx::query("UPDATE shop.accounts SET cents = cents + 1 WHERE id = $1")
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trigger_counts_the_writes_of_old_writers() {
    let db = table(3).await;
    let (options, folder) = (db.database.options(), Folder::new());
    let [rollout @ .., (end, drop_trigger)] = page::files();
    for (name, sql) in rollout {
        folder.write(name, sql);
    }
    migrate(&options, &folder.migrator().await).await.unwrap();
    let accounts = PgRepository::<Account>::new(db.pool.clone());

    let read = accounts.get(&1).await.unwrap();
    old_write(&db.pool, 1).await;
    assert!(accounts.update(&read).await.unwrap_err().is_conflict());
    let read = accounts.get(&1).await.unwrap();
    assert_eq!((read.cents, read.version.get()), (1, 2));
    assert_eq!(accounts.update(&read).await.unwrap().version.get(), 3);
    accounts.touch(&1, Version::new(3).unwrap()).await.unwrap();

    // An old writer stores the whole row that it once read, including the version.
    let stale = "UPDATE shop.accounts SET owner = 'old', cents = 0, version = 2 WHERE id = 1";
    let refused = Error::from(sqlx::query(stale).execute(&db.pool).await.unwrap_err());
    assert!(refused.is_conflict(), "{refused:?}");
    // Another old writer inserts or updates.
    let upsert = "INSERT INTO shop.accounts (id, owner, cents) VALUES (1, 'new', 9)
        ON CONFLICT (id) DO UPDATE SET owner = excluded.owner";
    sqlx::query(upsert).execute(&db.pool).await.unwrap();
    let read = accounts.get(&1).await.unwrap();
    assert_eq!(
        (&*read.owner, read.cents, read.version.get()),
        ("new", 1, 5)
    );

    // Concurrent old and new writers: each write advances the version, and no write is lost.
    let mut writers = JoinSet::new();
    for old in [true, true, true, true, false, false, false, false] {
        let (pool, accounts) = (db.pool.clone(), accounts.clone());
        writers.spawn(async move {
            let policy = RetryPolicy::new().with_deadline(Some(Duration::from_secs(60)));
            for _ in 0..50 {
                if old {
                    old_write(&pool, 2).await;
                } else {
                    let plus_one = |account: &mut Account| {
                        account.cents += 1;
                        Ok::<_, Error>(())
                    };
                    accounts.modify(&policy, &2, plus_one).await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    let read = accounts.get(&2).await.unwrap();
    assert_eq!((read.cents, read.version.get()), (400, 401));

    folder.write(end, drop_trigger);
    migrate(&options, &folder.migrator().await).await.unwrap();
    old_write(&db.pool, 3).await;
    assert_eq!(accounts.get(&3).await.unwrap().version, Version::FIRST);
    assert_idle(&db.pool).await;
}
