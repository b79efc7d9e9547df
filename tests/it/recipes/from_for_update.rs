//! Old code that locks, beside new code that compares versions.

use optilock::{
    postgres::PgRepository,
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use super::database;
use crate::support::db::{assert_idle, deadlocks};

#[path = "../../../src/guide/recipes/from_for_update.rs"]
mod recipe;
use recipe::{Refused, Wallet, transfer, withdraw, withdraw_locked};

const SQL: &str = include_str!("../../../src/guide/recipes/from_for_update.sql");

async fn sum(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT sum(cents)::bigint FROM bank.wallets")
        .fetch_one(pool)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn old_and_new_code_write_the_same_row() {
    let db = database(SQL).await;
    let insert = "INSERT INTO bank.wallets (id, cents) VALUES (1, 100)";
    sqlx::query(insert).execute(&db.pool).await.unwrap();
    let wallets = PgRepository::<Wallet>::new(db.pool.clone());
    wallets.verify().await.unwrap();

    // 16 writers ask for 160 cents of the 100.
    let mut writers = JoinSet::new();
    for number in 0..16 {
        let (pool, wallets) = (db.pool.clone(), wallets.clone());
        writers.spawn(async move {
            let mut withdrawn = 0;
            for _ in 0..10 {
                let done = if number % 2 == 0 {
                    withdraw_locked(&pool, 1, 1).await.unwrap()
                } else {
                    match withdraw(&wallets, 1, 1).await.map_err(|error| error.error) {
                        Ok(_) => true,
                        Err(Refused::TooLittle { requested: 1, .. }) => false,
                        Err(other) => panic!("{other}"),
                    }
                };
                withdrawn += i64::from(done);
            }
            withdrawn
        });
    }
    let withdrawn: i64 = writers.join_all().await.into_iter().sum();
    let wallet = wallets.get(&1).await.unwrap();
    assert_eq!((withdrawn, wallet.cents), (100, 0));
    assert_eq!(wallet.version.get(), 101, "every write has its version");
    assert_idle(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn opposite_transfers_do_not_deadlock() {
    let db = database(SQL).await;
    let insert = "INSERT INTO bank.wallets (id, cents) VALUES (1, 1000), (2, 1000)";
    sqlx::query(insert).execute(&db.pool).await.unwrap();
    let wallets = PgRepository::<Wallet>::new(db.pool.clone());
    let mut transfers = JoinSet::new();
    for number in 0..8 {
        let (pool, wallets) = (db.pool.clone(), wallets.clone());
        let (from, to) = if number % 2 == 0 { (1, 2) } else { (2, 1) };
        transfers.spawn(async move {
            for _ in 0..10 {
                transfer(&pool, &wallets, from, to, 3).await.unwrap();
            }
        });
    }
    transfers.join_all().await;
    assert_eq!(sum(&db.pool).await, 2000);
    assert_eq!(wallets.get(&1).await.unwrap().version.get(), 81);
    assert_eq!(deadlocks(&db.pool).await, 0);
    assert_idle(&db.pool).await;
}
