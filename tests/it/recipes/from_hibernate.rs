//! A table of Hibernate, which Hibernate writes too.

use optilock::{
    Version,
    postgres::{ErrorKind, PgRepository},
    sqlx,
};

use super::{database, frameworks::compete};
use crate::support::db::{assert_idle, sql_of};

#[path = "../../../src/guide/recipes/from_hibernate.rs"]
mod recipe;
use recipe::{Account, deposit};

const SQL: &str = include_str!("../../../src/guide/recipes/from_hibernate.sql");
const PAGE: &str = include_str!("../../../src/guide/recipes/from_hibernate.md");

#[tokio::test]
async fn hibernate_and_rust_write_the_same_rows() {
    let db = database(SQL).await;
    let [insert, update, delete] = sql_of(PAGE);
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    accounts.verify().await.unwrap();

    // Hibernate takes a block of ids from the sequence, Rust the next one.
    let block = "SELECT nextval('shop.accounts_seq')";
    let id: i64 = sqlx::query_scalar(block).fetch_one(&db.pool).await.unwrap();
    let persist = async |id: i64| {
        let inserted = sqlx::query(insert)
            .bind(0_i64)
            .bind("Ana")
            .bind(0_i32)
            .bind(id);
        inserted.execute(&db.pool).await.unwrap();
    };
    persist(id).await;
    let ben = accounts.insert(&Account::new("Ben")).await.unwrap();
    assert_eq!((ben.id, ben.version), (id + 50, Version::ZERO));
    persist(id + 49).await;

    let ana = accounts.get(&id).await.unwrap();
    assert_eq!(ana.version, Version::ZERO);
    let read = async || {
        let read = "select cents, version from shop.accounts where id=$1";
        let row = sqlx::query_as::<_, (i64, i32)>(read).bind(id);
        row.fetch_one(&db.pool).await.unwrap()
    };
    let write = async |cents: i64, version: i32| {
        let updated = sqlx::query(update)
            .bind(cents)
            .bind("Ana")
            .bind(version + 1);
        let updated = updated.bind(id).bind(version).execute(&db.pool).await;
        updated.unwrap().rows_affected()
    };

    assert_eq!(write(5, 0).await, 1);
    let stale = accounts.update(&ana).await.unwrap_err();
    let conflict = stale.conflict().unwrap();
    assert_eq!((conflict.expected.get(), conflict.actual.get()), (0, 1));
    let ana = accounts.get(&id).await.unwrap();
    accounts.touch(&id, ana.version).await.unwrap();
    assert_eq!(write(9, 1).await, 0, "stale in Hibernate");
    assert_eq!(read().await, (5, 2));

    let rust = async || drop(deposit(&accounts, id, 1).await.unwrap());
    let done = compete(rust, read, write).await;
    let last = accounts.get(&id).await.unwrap();
    assert_eq!((last.cents, last.version.get()), (5 + done, 2 + done));

    let (_, version) = read().await;
    for (version, rows) in [(version - 1, 0), (version, 1)] {
        let deleted = sqlx::query(delete).bind(id).bind(version);
        let deleted = deleted.execute(&db.pool).await.unwrap();
        assert_eq!(deleted.rows_affected(), rows);
    }
    let gone = accounts.update(&last).await.unwrap_err();
    assert_eq!(gone.kind(), ErrorKind::NotFound);
    assert_idle(&db.pool).await;
}
