//! Rows that are marked as deleted, and restored.

use optilock::{
    Version,
    postgres::{Bulk, ErrorKind, WriteOutcome},
    sqlx,
};

use super::database;

#[path = "../../../src/guide/recipes/soft_delete.rs"]
mod recipe;
use recipe::{Customer, Customers};

const SQL: &str = include_str!("../../../src/guide/recipes/soft_delete.sql");

fn new(email: &str) -> Customer {
    Customer {
        id: 0,
        email: email.to_owned(),
        name: "Ana".to_owned(),
        version: Version::FIRST,
    }
}

#[tokio::test]
async fn a_deleted_row_is_hidden_and_keeps_its_version() {
    let db = database(SQL).await;
    let customers = Customers::new(&db.pool);
    customers.verify().await.unwrap();
    let ana = customers
        .rows
        .insert(&new("ana@example.com"))
        .await
        .unwrap();

    let edited = customers.rows.update(&ana).await.unwrap();
    let stale = customers.delete(ana.id, ana.version).await.unwrap_err();
    let conflict = stale.conflict().unwrap();
    assert_eq!(conflict.entity, "customer");
    assert_eq!(conflict.actual, edited.version);
    let deleted = customers.delete(ana.id, edited.version).await.unwrap();
    assert_eq!(deleted.get(), 3);

    let again = customers.delete(ana.id, deleted).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::NotFound);
    let hidden = customers.rows.get(&ana.id).await.unwrap_err();
    assert_eq!(hidden.kind(), ErrorKind::NotFound);
    let late = customers.rows.update(&edited).await.unwrap_err();
    assert_eq!(late.kind(), ErrorKind::NotFound);
    let late = [edited.clone()];
    let late = customers.rows.update_all(&late, Bulk::Each).await.unwrap();
    assert_eq!(late, [WriteOutcome::NotFound]);
    let stored: bool = sqlx::query_scalar(
        "SELECT deleted_at <= clock_timestamp() FROM crm.customers WHERE id = $1",
    )
    .bind(ana.id)
    .fetch_one(&db.pool)
    .await
    .unwrap();
    assert!(stored);
}

#[tokio::test]
async fn a_restored_row_refuses_writers_of_the_time_before() {
    let db = database(SQL).await;
    let customers = Customers::new(&db.pool);
    let ana = customers
        .rows
        .insert(&new("ana@example.com"))
        .await
        .unwrap();
    let missing = customers.restore(ana.id, ana.version).await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);

    customers.delete(ana.id, ana.version).await.unwrap();
    let deleted = customers.get_deleted(ana.id).await.unwrap();
    let restored = customers.restore(ana.id, deleted.version).await.unwrap();
    let current = customers.rows.get(&ana.id).await.unwrap();
    assert_eq!((current.version, restored.get()), (restored, 3));
    assert_eq!(current.name, "Ana");
    assert!(customers.rows.update(&ana).await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn the_email_of_a_deleted_row_is_free() {
    let db = database(SQL).await;
    let customers = Customers::new(&db.pool);
    let ana = customers
        .rows
        .insert(&new("ana@example.com"))
        .await
        .unwrap();
    let taken = customers.rows.insert(&new("ana@example.com")).await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::AlreadyExists);

    let deleted = customers.delete(ana.id, ana.version).await.unwrap();
    let other = customers
        .rows
        .insert(&new("ana@example.com"))
        .await
        .unwrap();
    let refused = customers.restore(ana.id, deleted).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    customers.delete(other.id, other.version).await.unwrap();
    customers.restore(ana.id, deleted).await.unwrap();
}
