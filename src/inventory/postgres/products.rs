//! Products. Each function is one attempt on one connection, and commits nothing.
//!
//! One statement changes a product and writes its movement. A statement that changed nothing returns the
//! product as it was locked, from which the refusal is derived.

pub(crate) mod add_many;
pub(crate) mod adjust;
pub(crate) mod change;
mod row;

use sqlx::{FromRow, Postgres, Row, postgres::PgRow, query::Query};
use uuid::Uuid;

use super::sql;
use crate::{
    Version, Versioned,
    inventory::{
        model::{
            Error, MovementKind, NewProduct, Page, Product, Sku, Stock,
            product::{check_text, unedited, unmoved},
        },
        postgres::schema::SchemaConnection,
    },
};

use row::ProductRow;

type Statement<'q> = Query<'q, Postgres, sqlx::postgres::PgArguments>;

pub(crate) async fn find(conn: &mut SchemaConnection<'_>, sku: &Sku) -> Result<Product, Error> {
    let found: Option<ProductRow> = sqlx::query_as(conn.sql(sql::products::PRODUCT))
        .bind(sku)
        .fetch_optional(&mut **conn)
        .await
        .map_err(Error::before)?;
    found.ok_or_else(|| Error::no_product(sku))?.try_into()
}

pub(crate) async fn at(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    expected: Version,
) -> Result<Product, Error> {
    let product = find(conn, sku).await?;
    unmoved(&product, expected)?;
    Ok(product)
}

pub(crate) async fn page(
    conn: &mut SchemaConnection<'_>,
    page: &Page<Sku>,
) -> Result<Vec<Product>, Error> {
    // Every SKU comes after the empty one.
    let after = page.after.as_ref().map_or("", Sku::as_str);
    let found = sqlx::query_as(conn.sql(sql::products::PRODUCTS))
        .bind(after)
        .bind(i64::from(page.limit()))
        .fetch_all(&mut **conn)
        .await;
    products(found)
}

pub(crate) async fn of(
    conn: &mut SchemaConnection<'_>,
    skus: &[Sku],
) -> Result<Vec<Product>, Error> {
    let found = sqlx::query_as(conn.sql(sql::products::PRODUCTS_OF))
        .bind(skus)
        .fetch_all(&mut **conn)
        .await;
    products(found)
}

fn products(found: Result<Vec<ProductRow>, sqlx::Error>) -> Result<Vec<Product>, Error> {
    let found = found.map_err(Error::before)?;
    found.into_iter().map(Product::try_from).collect()
}

/// Returns the current product and the delta of the change with this token, if it was made.
pub(crate) async fn changed_by(
    conn: &mut SchemaConnection<'_>,
    token: Uuid,
) -> Result<Option<(Product, i64)>, Error> {
    let found = sqlx::query(conn.sql(sql::products::CHANGED_BY))
        .bind(token)
        .fetch_optional(&mut **conn)
        .await
        .map_err(Error::before)?;
    found
        .map(|found| {
            let product = ProductRow::from_row(&found)?;
            Ok((product.try_into()?, found.try_get("delta")?))
        })
        .transpose()
}

pub(crate) async fn add(
    conn: &mut SchemaConnection<'_>,
    new: &NewProduct,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("name", &new.name)?;
    let answer = sqlx::query(conn.sql(sql::products::ADD))
        .bind(&new.sku)
        .bind(&new.name)
        .bind(new.price.minor())
        .bind(new.price.currency().as_str())
        .bind(new.stock.get())
        .bind(token)
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Product::ENTITY, &new.sku))?;
    if answer.try_get::<Option<&str>, _>("sku")?.is_some() {
        return ProductRow::from_row(&answer)?.try_into();
    }
    let exists = || Error::already_exists(Product::ENTITY, &new.sku);
    match answer.try_get("old_retired")? {
        Some(true) => {
            let reserved = answer.try_get("held")?;
            Err(Error::stock_held(
                new.sku.clone(),
                new.stock.get(),
                reserved,
            ))
        }
        Some(false) => Err(exists()),
        None => {
            // Another transaction added it meanwhile, or the row was suppressed.
            let known: bool = sqlx::query_scalar(conn.sql(sql::products::EXISTS))
                .bind(&new.sku)
                .fetch_one(&mut **conn)
                .await
                .map_err(Error::before)?;
            Err(if known {
                exists()
            } else {
                Error::suppressed(Product::ENTITY, &new.sku)
            })
        }
    }
}

/// The result of a statement that changes a product.
pub(crate) struct Changed {
    /// The product as it was stored, or as it was locked.
    pub(crate) product: Product,
    pub(crate) wrote: bool,
    pub(crate) row: PgRow,
}

/// Runs a statement that changes a product and returns it. `None`: the product does not exist or is retired.
pub(crate) async fn change(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    statement: Statement<'_>,
) -> Result<Option<Changed>, Error> {
    let row = statement
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Product::ENTITY, sku))?;
    let Some(wrote) = row.try_get::<Option<bool>, _>("wrote")? else {
        return Ok(None);
    };
    let product = ProductRow::from_row(&row)?;
    if product.retired && !wrote {
        return Ok(None);
    }
    Ok(Some(Changed {
        product: product.try_into()?,
        wrote,
        row,
    }))
}

/// Edits name and price, if neither was edited since.
pub(crate) async fn edit(
    conn: &mut SchemaConnection<'_>,
    changed: &Product,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("name", &changed.name)?;
    let sku = &changed.sku;
    let statement = sqlx::query(conn.sql(sql::products::EDIT))
        .bind(sku)
        .bind(changed.revision)
        .bind(&changed.name)
        .bind(changed.price.minor())
        .bind(changed.price.currency().as_str())
        .bind(token);
    let edited = change(conn, sku, statement).await?;
    let Changed { product, wrote, .. } = edited.ok_or_else(|| Error::no_product(sku))?;
    if wrote {
        return Ok(product);
    }
    unedited(&product, changed.revision)?;
    Err(Error::suppressed(Product::ENTITY, sku))
}

pub(crate) async fn retire(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    expected: Version,
    token: Uuid,
) -> Result<Product, Error> {
    let statement = sqlx::query(conn.sql(sql::products::RETIRE))
        .bind(sku)
        .bind(expected)
        .bind(token);
    let retired = change(conn, sku, statement).await?;
    let Changed { product, wrote, .. } = retired.ok_or_else(|| Error::no_product(sku))?;
    if wrote {
        return Ok(product);
    }
    unmoved(&product, expected)?;
    Err(Error::suppressed(Product::ENTITY, sku))
}

/// Sets the stock to a count. Expired holds count as held until they are ended, as ending them changes the
/// version that the count expects.
pub(crate) async fn count(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    expected: Version,
    counted: Stock,
    reason: &str,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("reason", reason)?;
    let statement = sqlx::query(conn.sql(sql::products::COUNT))
        .bind(sku)
        .bind(expected)
        .bind(counted.get())
        .bind(reason)
        .bind(token);
    let updated = change(conn, sku, statement).await?;
    let Changed { product, wrote, .. } = updated.ok_or_else(|| Error::no_product(sku))?;
    if wrote {
        return Ok(product);
    }
    unmoved(&product, expected)?;
    if product.reserved > counted {
        let reserved = product.reserved.get();
        return Err(Error::stock_held(product.sku, counted.get(), reserved));
    }
    Err(Error::suppressed(Product::ENTITY, sku))
}

/// Pauses or resumes the sale. Returns the product after it, also if nothing changed.
pub(crate) async fn set_paused(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    paused: bool,
    token: Uuid,
) -> Result<Product, Error> {
    let kind = match paused {
        true => MovementKind::Paused,
        false => MovementKind::Resumed,
    };
    let statement = sqlx::query(conn.sql(sql::products::PAUSE))
        .bind(sku)
        .bind(paused)
        .bind(kind.code())
        .bind(token);
    let answer = change(conn, sku, statement).await?;
    answer
        .map(|answer| answer.product)
        .ok_or_else(|| Error::no_product(sku))
}
