//! A table of EF Core, which EF Core writes too: by `xmin`, and by a column of the application.

use optilock::{
    postgres::PgRepository,
    sqlx::{
        self, Postgres,
        postgres::{PgTypeInfo, types::Oid},
    },
};

use super::{database, frameworks::compete};
use crate::support::db::{Db, assert_idle, sql_of};

#[path = "../../../src/guide/recipes/from_ef_core.rs"]
mod recipe;
use recipe::{Account, deposit};

const SQL: &str = include_str!("../../../src/guide/recipes/from_ef_core.sql");
const PAGE: &str = include_str!("../../../src/guide/recipes/from_ef_core.md");

#[derive(Clone, Copy, Debug, sqlx::Decode, sqlx::Encode)]
#[sqlx(transparent)]
struct Xid(Oid);

impl sqlx::Type<Postgres> for Xid {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("xid")
    }
}

async fn account(db: &Db) -> (PgRepository<Account>, i64) {
    let accounts = PgRepository::<Account>::new(db.pool.clone());
    accounts.verify().await.unwrap();
    let insert =
        "INSERT INTO shop.\"Accounts\" (\"Cents\", \"Owner\") VALUES (0, 'Ana') RETURNING \"Id\"";
    let id = sqlx::query_scalar(insert)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    (accounts, id)
}

#[tokio::test]
async fn ef_core_compares_xmin_and_rust_the_version() {
    let db = database(SQL).await;
    let [update, _] = sql_of(PAGE);
    let (accounts, id) = account(&db).await;
    let read = async || {
        let read = "SELECT a.\"Cents\", a.xmin FROM shop.\"Accounts\" AS a WHERE a.\"Id\" = $1";
        let row = sqlx::query_as::<_, (i64, Xid)>(read).bind(id);
        row.fetch_one(&db.pool).await.unwrap()
    };
    let write = async |cents: i64, xmin: Xid| {
        let updated = sqlx::query(update).bind(cents).bind(id).bind(xmin);
        updated.execute(&db.pool).await.unwrap().rows_affected()
    };

    let ana = accounts.get(&id).await.unwrap();
    let (_, xmin) = read().await;
    assert_eq!(write(5, xmin).await, 1);
    let stale = accounts.update(&ana).await.unwrap_err();
    assert_eq!(stale.conflict().unwrap().actual.get(), 2);
    let (_, xmin) = read().await;
    accounts
        .touch(&id, accounts.get(&id).await.unwrap().version)
        .await
        .unwrap();
    assert_eq!(write(9, xmin).await, 0, "stale in EF Core");

    let rust = async || drop(deposit(&accounts, id, 1).await.unwrap());
    let done = compete(rust, read, write).await;
    let last = accounts.get(&id).await.unwrap();
    assert_eq!((last.cents, last.version.get()), (5 + done, 3 + done));
    assert_idle(&db.pool).await;
}

#[tokio::test]
async fn ef_core_and_rust_compare_the_same_column() {
    let db = database(SQL).await;
    let [_, update] = sql_of(PAGE);
    let (accounts, id) = account(&db).await;
    let drop_trigger = "DROP TRIGGER zz_count_version ON shop.\"Accounts\"";
    sqlx::query(drop_trigger).execute(&db.pool).await.unwrap();
    let read = async || {
        let read =
            "SELECT a.\"Cents\", a.\"Version\" FROM shop.\"Accounts\" AS a WHERE a.\"Id\" = $1";
        let row = sqlx::query_as::<_, (i64, i64)>(read).bind(id);
        row.fetch_one(&db.pool).await.unwrap()
    };
    let write = async |cents: i64, version: i64| {
        let updated = sqlx::query(update).bind(cents).bind(version + 1).bind(id);
        let updated = updated.bind(version).execute(&db.pool).await;
        updated.unwrap().rows_affected()
    };

    let ana = accounts.get(&id).await.unwrap();
    assert_eq!(write(5, 1).await, 1);
    assert!(accounts.update(&ana).await.unwrap_err().is_conflict());
    assert_eq!(write(9, 1).await, 0, "stale in EF Core");
    let rust = async || drop(deposit(&accounts, id, 1).await.unwrap());
    let done = compete(rust, read, write).await;
    let last = accounts.get(&id).await.unwrap();
    assert_eq!((last.cents, last.version.get()), (5 + done, 2 + done));
    assert_idle(&db.pool).await;
}
