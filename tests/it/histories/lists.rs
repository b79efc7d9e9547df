//! Rows that hold lists. Each transaction appends elements of its own, so that a later read shows the order of all
//! appends before it.

use optilock::{
    Version,
    sqlx::{self, PgPool},
    versioned_row,
};

use super::{history::Lists, recorder::most};
use crate::support::{
    db::{Db, Default},
    triggers::run,
};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct List {
    pub id: i64,
    pub elements: Vec<String>,
    pub version: Version,
}

versioned_row! { List in "histories.lists" {
    entity: "list",
    id: id: i64,
    version: version,
    columns: [elements as array],
} }

const TABLE: &str = "CREATE SCHEMA histories;
    CREATE TABLE histories.lists (
        id bigint PRIMARY KEY, elements text[] NOT NULL DEFAULT '{}', version bigint NOT NULL DEFAULT 1)";

/// How many lists are in use at a time.
pub const HOT: usize = 4;

/// After how many transactions the lists in use are replaced, as long ones would make each read slow.
const PERIOD: usize = 150;

/// Creates a database with enough empty lists for a number of transactions.
pub async fn database(transactions: usize) -> Db {
    let db = Db::empty_with(Default::ReadCommitted, 4).await;
    run(&db.pool, TABLE).await;
    sqlx::query("INSERT INTO histories.lists (id) SELECT generate_series(0, $1)")
        .bind(needed(transactions) as i64)
        .execute(&db.pool)
        .await
        .unwrap();
    db
}

/// Returns a list that is in use after `begun` transactions.
pub fn hot(begun: usize) -> i64 {
    some_hot(begun, 1)[0]
}

/// Returns two different lists in use, in the order of their ids.
pub fn two_hot(begun: usize) -> (i64, i64) {
    let two = some_hot(begun, 2);
    (two[0], two[1])
}

/// Returns different lists in use, in the order of their ids.
pub fn some_hot(begun: usize, count: usize) -> Vec<i64> {
    let mut chosen = rand::seq::index::sample(&mut rand::rng(), HOT, count).into_vec();
    chosen.sort_unstable();
    let first = begun / PERIOD * HOT;
    chosen.into_iter().map(|at| (first + at) as i64).collect()
}

/// Returns the number of lists that a load of `transactions` needs.
pub const fn needed(transactions: usize) -> usize {
    (most(transactions) / PERIOD + 2) * HOT
}

/// Returns the content of all lists.
pub async fn stored(pool: &PgPool) -> Lists {
    let all = "SELECT id::text, elements FROM histories.lists";
    let all: Vec<(String, Vec<String>)> = sqlx::query_as(all).fetch_all(pool).await.unwrap();
    all.into_iter().collect()
}
