//! Tests of a service without a database: those of the recipe itself, and its service on a table.

use optilock::{Version, postgres::PgRepository};

use super::database;

#[path = "../../../src/guide/recipes/conflict_tests.rs"]
mod recipe;
use recipe::{Seat, take};

const SQL: &str = "CREATE SCHEMA shop;
    CREATE TABLE shop.seats (id bigint PRIMARY KEY, guest text, version bigint NOT NULL DEFAULT 1)";

/// The answers in the recipe's tests are those of PostgreSQL.
#[tokio::test]
async fn the_service_answers_the_same_on_a_table() {
    let db = database(SQL).await;
    let seats = PgRepository::<Seat>::new(db.pool.clone());
    let (id, guest, version) = (1, None, Version::FIRST);
    seats.insert(&Seat { id, guest, version }).await.unwrap();
    assert_eq!(take(&seats, 1, Version::FIRST, "ana").await.status, 200);
    assert_eq!(take(&seats, 1, Version::FIRST, "leo").await.status, 409);
    assert_eq!(take(&seats, 2, Version::FIRST, "leo").await.status, 404);
    let seat = seats.get(&1).await.unwrap();
    assert_eq!(seat.guest.as_deref(), Some("ana"));
}
