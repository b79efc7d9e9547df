//! Orders that leave.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::{LockedPage, check_handed_over};
use crate::{
    Versioned,
    inventory::{
        model::{Archived, ArchivedReturn, Error, Order, Quantity, Sku},
        postgres::{
            orders, row::impossible, schema::SchemaConnection, sql::archive as sql, types::Time,
        },
    },
};

/// Archives a page of the orders after an id. Returns the last id of the page, unless it is the last page.
pub(super) async fn archive(
    conn: &mut SchemaConnection<'_>,
    before: DateTime<Utc>,
    after: Option<Uuid>,
    limit: i64,
    archived: &mut Archived,
) -> Result<Option<Uuid>, Error> {
    let page = LockedPage::read(conn, sql::LOCK_ORDERS, before, after, limit).await?;
    let leaving: Vec<Uuid> = sqlx::query_scalar(conn.sql(sql::LEAVING_ORDERS))
        .bind(page.locked)
        .bind(Time(before))
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    if !leaving.is_empty() {
        archived.orders = orders::of(conn, &leaving).await?;
        check_handed_over("orders", archived.orders.len(), leaving.len())?;
        archived.returns = returns(conn, &leaving).await?;
        sqlx::query(conn.sql(sql::REMOVE_ORDERS))
            .bind(&leaving)
            .bind(Time(before))
            .fetch_one(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, "of an archive"))?;
    }
    Ok(page.next)
}

async fn returns(
    conn: &mut SchemaConnection<'_>,
    orders: &[Uuid],
) -> Result<Vec<ArchivedReturn>, Error> {
    let rows = sqlx::query(conn.sql(sql::RETURNS))
        .bind(orders)
        .fetch_all(&mut **conn)
        .await;
    rows.map_err(Error::before)?.iter().map(returned).collect()
}

fn returned(row: &PgRow) -> Result<ArchivedReturn, Error> {
    let skus: Vec<String> = row.try_get("skus")?;
    let quantities: Vec<i64> = row.try_get("quantities")?;
    let lines = skus.into_iter().zip(quantities).map(|(sku, quantity)| {
        let sku = Sku::new(sku).map_err(impossible)?;
        Ok((sku, Quantity::stored(quantity)))
    });
    let Time(created_at) = row.try_get("created_at")?;
    Ok(ArchivedReturn {
        id: row.try_get("id")?,
        order: row.try_get::<Uuid, _>("order_id")?.into(),
        lines: lines.collect::<Result<_, Error>>()?,
        reason: row.try_get("reason")?,
        created_at,
    })
}
