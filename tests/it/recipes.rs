//! The recipes of the guide. Each file of code is a module here, and runs on a database made by the recipe's SQL.

mod audit_columns;
mod axum_migrations;
mod checked_queries;
mod conflict_tests;
mod dashboards;
mod merging;
mod pages;
mod soft_delete;

use optilock::sqlx;

use crate::support::db::Db;

/// Creates a database with the schema of a recipe.
async fn database(sql: &'static str) -> Db {
    let db = Db::empty().await;
    sqlx::raw_sql(sql).execute(&db.pool).await.unwrap();
    db
}
