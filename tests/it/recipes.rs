//! The recipes of the guide. Each file of code is a module here, and runs on a database made by the recipe's SQL.

mod audit_columns;
mod axum_migrations;
mod checked_queries;
mod conflict_tests;
mod dashboards;
mod frameworks;
mod from_ecto;
mod from_ef_core;
mod from_for_update;
mod from_hibernate;
mod from_rails;
mod merging;
pub mod migrations_in_use;
mod multi_tenant;
mod pages;
mod restricted_roles;
mod several_services;
mod soft_delete;

use optilock::sqlx;

use crate::support::db::Db;

/// Creates a database with the schema of a recipe.
async fn database(sql: &'static str) -> Db {
    let db = Db::empty().await;
    sqlx::raw_sql(sql).execute(&db.pool).await.unwrap();
    db
}
