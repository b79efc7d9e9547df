//! Functions and operators of the names that the crate uses, in `public`, which raise an error.

use optilock::sqlx::{self, PgPool};

use crate::{inventory::statements::hostile::planted, support::db::Db};

/// Creates the hostile code unless it exists. The database's pool must have an empty search path.
pub async fn plant(db: &Db) {
    let exists = "SELECT to_regprocedure('public.hostile(bigint)') IS NOT NULL";
    let exists: bool = sqlx::query_scalar(exists)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    if !exists {
        planted::plant_all(&db.pool).await;
    }
}

/// Asserts that an unqualified name calls the hostile code.
pub async fn assert_planted(pool: &PgPool) {
    let call = "SELECT cardinality(ARRAY['a']::text[])";
    let error = sqlx::query(call)
        .execute(pool)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("hostile code was called"), "{error}");
}
