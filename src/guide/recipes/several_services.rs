use optilock::{
    Version,
    sqlx::{self, PgPool},
    versioned_row,
};

/// A vehicle as the service of the depot knows it: without `mileage`, which its writes leave as it is.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Vehicle {
    pub id: i64,
    pub plate: String,
    pub status: String,
    pub version: Version,
}

versioned_row! { Vehicle in "fleet.vehicles" {
    entity: "vehicle", id: id: i64 as generated, version: version, columns: [plate, status],
} }

/// Another service, in SQL by hand: writes if the row is still at the version that it has read.
///
/// Returns the new version, or `None` if another writer was faster or the row is gone.
pub async fn correct_mileage(
    pool: &PgPool,
    id: i64,
    expected: i64,
    mileage: i64,
) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE fleet.vehicles SET mileage = $3, version = version + 1
         WHERE id = $1 AND version = $2 RETURNING version",
    )
    .bind(id)
    .bind(expected)
    .bind(mileage)
    .fetch_optional(pool)
    .await
}

/// The same service: a change that is right at any version compares none, and counts it all the same.
pub async fn drive(pool: &PgPool, id: i64, distance: i64) -> Result<bool, sqlx::Error> {
    let driven = sqlx::query(
        "UPDATE fleet.vehicles SET mileage = mileage + $2, version = version + 1 WHERE id = $1",
    )
    .bind(id)
    .bind(distance)
    .execute(pool)
    .await?;
    Ok(driven.rows_affected() == 1)
}

/// A nightly job over many rows. It locks them in the order of their ids, as `update_all` does.
pub async fn retire_worn(pool: &PgPool, mileage: i64) -> Result<u64, sqlx::Error> {
    let retired = sqlx::query(
        "WITH worn AS MATERIALIZED (
             SELECT id FROM fleet.vehicles WHERE mileage >= $1 AND status = 'active'
             ORDER BY id FOR NO KEY UPDATE)
         UPDATE fleet.vehicles SET status = 'retired', version = version + 1
         WHERE id = ANY (ARRAY(SELECT id FROM worn))",
    )
    .bind(mileage)
    .execute(pool)
    .await?;
    Ok(retired.rows_affected())
}
