use optilock::{
    Version,
    postgres::{PgRepository, WriteOutcome},
    versioned_row,
};
use sqlx::PgPool;

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Seat {
    pub id: i64,
    pub guest: Option<String>,
    pub version: Version,
}

versioned_row! { Seat in "shop.seats" {
    entity: "seat", id: id: i64, version: version, columns: [guest],
} }

/// Reads rows by a checked query. Each can be written by [`PgRepository`].
pub async fn seats_of(pool: &PgPool, guest: &str) -> Result<Vec<Seat>, sqlx::Error> {
    sqlx::query_as!(
        Seat,
        r#"SELECT id, guest, version AS "version: Version" FROM shop.seats WHERE guest = $1 ORDER BY id"#,
        guest
    )
    .fetch_all(pool)
    .await
}

/// Reads a view, whose columns may all be null for sqlx.
pub async fn free_seats(pool: &PgPool) -> Result<Vec<(i64, Version)>, sqlx::Error> {
    let seats = sqlx::query!(
        r#"SELECT id AS "id!", version AS "version!: Version" FROM shop.free_seats ORDER BY id"#
    );
    let seats = seats.fetch_all(pool).await?;
    Ok(seats
        .into_iter()
        .map(|seat| (seat.id, seat.version))
        .collect())
}

/// Writes by hand. Returns the new version, or `None` if the row is not at `read`.
pub async fn take(
    pool: &PgPool,
    id: i64,
    read: Version,
    guest: &str,
) -> Result<Option<Version>, sqlx::Error> {
    let written = sqlx::query!(
        r#"UPDATE shop.seats SET guest = $3, version = version + 1 WHERE id = $1 AND version = $2
            RETURNING version AS "version: Version""#,
        id,
        read.get(),
        guest
    );
    let written = written.fetch_optional(pool).await?;
    Ok(written.map(|row| row.version))
}

/// Writes a row that was read by a checked query, and knows why if it was not written.
pub async fn leave(
    pool: &PgPool,
    seat: &Seat,
) -> Result<WriteOutcome<Seat>, optilock::postgres::Error> {
    let free = Seat {
        guest: None,
        ..seat.clone()
    };
    PgRepository::new(pool.clone()).compare_and_set(&free).await
}
