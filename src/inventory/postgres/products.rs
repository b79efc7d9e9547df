//! Products: each function is one attempt on one connection, and commits nothing of its own.
//!
//! What compares a version goes through [`PgRepository`], and its ledger's row follows in the same
//! transaction. What is relative, and what adds a product, is one statement.

use sqlx::{FromRow, PgConnection, PgPool, Row};
use uuid::Uuid;

use super::{
    product::{ByVersion, Entry, ProductRow, Shelf},
    reservations, sql,
};
use crate::{
    Version, Versioned,
    inventory::{
        Adjustment, Error, MovementKind, NewProduct, Page, Product, Quantity, Shortage, Sku, Stock,
        product::check_text,
    },
    postgres::{self, PgRepository},
};

#[derive(Clone, Debug)]
pub(super) struct Products {
    entries: PgRepository<Entry>,
    shelves: PgRepository<Shelf>,
}

impl Products {
    pub(super) fn new(pool: &PgPool) -> Self {
        Self {
            entries: PgRepository::new(pool.clone()),
            shelves: PgRepository::new(pool.clone()),
        }
    }

    pub(super) async fn find(&self, conn: &mut PgConnection, sku: &Sku) -> Result<Product, Error> {
        self.shelves.get_in(conn, sku).await?.try_into()
    }

    pub(super) async fn at(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        expected: Version,
    ) -> Result<Product, Error> {
        self.shelves
            .get_at_in(conn, sku, expected)
            .await?
            .try_into()
    }

    /// Name and price, if nobody edited them since.
    pub(super) async fn edit(
        &self,
        conn: &mut PgConnection,
        changed: &Product,
        token: Uuid,
    ) -> Result<Product, Error> {
        check_text("name", &changed.name)?;
        let edited = self.entries.update_in(conn, &Entry::of(changed)).await;
        let edited = edited.map_err(|error| match error {
            // Of the product, to whoever asks: that its entry is a row of its own is our business.
            postgres::Error::NotFound { .. } => Error::no_product(&changed.sku),
            postgres::Error::Suppressed { .. } => Error::suppressed(Product::ENTITY, &changed.sku),
            other => other.into(),
        })?;
        record(conn, &edited, MovementKind::Edit, 0, token, None).await?;
        edited.try_into()
    }

    pub(super) async fn retire(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        expected: Version,
        token: Uuid,
    ) -> Result<Product, Error> {
        let mut shelf = self.shelves.lock_in(conn, sku).await?;
        (shelf.retired, shelf.version) = (true, expected);
        let retired = self.shelves.update_in(conn, &shelf).await?;
        record(conn, &retired, MovementKind::Retired, 0, token, None).await?;
        retired.try_into()
    }

    pub(super) async fn count(
        &self,
        conn: &mut PgConnection,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
        token: Uuid,
    ) -> Result<Product, Error> {
        check_text("reason", reason)?;
        let mut shelf = self.shelves.lock_in(conn, sku).await?;
        if shelf.version == expected && shelf.reserved > counted.get() {
            // What has run out counts as held until it is lapsed; a count names the version, and so
            // can't lapse it by itself.
            return Err(Error::StockHeld {
                sku: sku.clone(),
                counted: counted.get(),
                reserved: shelf.reserved,
            });
        }
        let delta = counted.get() - shelf.stock;
        (shelf.stock, shelf.version) = (counted.get(), expected);
        let shelf = self.shelves.update_in(conn, &shelf).await?;
        record(
            conn,
            &shelf,
            MovementKind::Count,
            delta,
            token,
            Some(reason),
        )
        .await?;
        shelf.try_into()
    }
}

/// The ledger's row of a product that was just written.
async fn record<G>(
    conn: &mut PgConnection,
    product: &ProductRow<G>,
    kind: MovementKind,
    delta: i64,
    token: Uuid,
    reason: Option<&str>,
) -> Result<(), Error> {
    sqlx::query(sql::products::RECORD)
        .bind(&product.sku)
        .bind(product.version)
        .bind(kind.code())
        .bind(product.stock)
        .bind(delta)
        .bind(token)
        .bind(reason)
        .execute(conn)
        .await
        .map_err(Error::own_key)?;
    Ok(())
}

pub(super) async fn page(conn: &mut PgConnection, page: &Page<Sku>) -> Result<Vec<Product>, Error> {
    // Every SKU comes after the empty one.
    let after = page.after.as_ref().map_or("", Sku::as_str);
    let found = sqlx::query_as(sql::products::PRODUCTS)
        .bind(after)
        .bind(i64::from(page.limit()))
        .fetch_all(conn)
        .await;
    products(found)
}

pub(super) async fn of(conn: &mut PgConnection, skus: &[Sku]) -> Result<Vec<Product>, Error> {
    let found = sqlx::query_as(sql::products::PRODUCTS_OF)
        .bind(skus)
        .fetch_all(conn)
        .await;
    products(found)
}

fn products(found: Result<Vec<Shelf>, sqlx::Error>) -> Result<Vec<Product>, Error> {
    let found = found.map_err(Error::before)?;
    found.into_iter().map(Product::try_from).collect()
}

/// The product as it is now and the delta of the change that has this token, if it was made.
pub(super) async fn changed_by(
    conn: &mut PgConnection,
    token: Uuid,
) -> Result<Option<(Product, i64)>, Error> {
    let found = sqlx::query(sql::products::CHANGED_BY)
        .bind(token)
        .fetch_optional(conn)
        .await
        .map_err(Error::before)?;
    found
        .map(|found| {
            let product = ProductRow::<ByVersion>::from_row(&found)?;
            Ok((product.try_into()?, found.try_get("delta")?))
        })
        .transpose()
}

pub(super) async fn add(
    conn: &mut PgConnection,
    new: &NewProduct,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("name", &new.name)?;
    let added = sqlx::query(sql::products::ADD)
        .bind(&new.sku)
        .bind(&new.name)
        .bind(new.price.minor())
        .bind(new.price.currency().as_str())
        .bind(new.stock.get())
        .bind(token)
        .fetch_optional(conn)
        .await
        .map_err(Error::own_key)?;
    match added {
        None => Err(Error::AlreadyExists {
            entity: Product::ENTITY,
            id: new.sku.to_string(),
        }),
        Some(added) if added.try_get::<Option<&str>, _>("sku")?.is_some() => {
            Shelf::from_row(&added)?.try_into()
        }
        Some(held) => Err(Error::StockHeld {
            sku: new.sku.clone(),
            counted: new.stock.get(),
            reserved: held.try_get("held")?,
        }),
    }
}

/// Takes what has run out into account: it is in nobody's way.
pub(super) async fn adjust(
    conn: &mut PgConnection,
    adjustment: &Adjustment,
) -> Result<Product, Error> {
    match adjust_once(conn, adjustment).await {
        Err(Error::InsufficientStock(_))
            if reservations::lapse(conn, &[&adjustment.sku]).await?.holds > 0 =>
        {
            adjust_once(conn, adjustment).await
        }
        answer => answer,
    }
}

async fn adjust_once(conn: &mut PgConnection, adjustment: &Adjustment) -> Result<Product, Error> {
    let Adjustment {
        id,
        sku,
        delta,
        reason,
    } = adjustment;
    let answer = sqlx::query(sql::products::ADJUST)
        .bind(sku)
        .bind(id)
        .bind(reason)
        .bind(delta)
        .bind(Stock::MAX.get())
        .fetch_optional(&mut *conn)
        .await
        .map_err(Error::own_key)?
        .ok_or_else(|| Error::no_product(sku))?;
    if answer.try_get::<Option<&str>, _>("sku")?.is_some() {
        return Shelf::from_row(&answer)?.try_into();
    }
    if let Some((product, made)) = changed_by(conn, *id).await? {
        return if product.sku == *sku && made == *delta {
            Ok(product)
        } else {
            Err(Error::another_request("adjustment", id, None))
        };
    }
    let stock: i64 = answer.try_get("old_stock")?;
    let available = stock - answer.try_get::<i64, _>("old_reserved")?;
    if available + delta < 0 {
        // Within the bounds of a quantity or not, it is more than there is.
        let requested = Quantity::new(-delta).unwrap_or(Quantity::MAX);
        let shortage = Shortage::new(sku.clone(), requested, available);
        return Err(Error::InsufficientStock(vec![shortage]));
    }
    if stock + delta > Stock::MAX.get() {
        let why = format!("takes the stock of {sku} beyond {}", Stock::MAX);
        return Err(Error::invalid("adjustment", why));
    }
    // It fits and was not written: the work of a trigger or a policy.
    Err(Error::suppressed(Product::ENTITY, sku))
}
