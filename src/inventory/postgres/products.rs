//! Products: each function is one attempt on one connection, and commits nothing of its own.
//!
//! What compares a version goes through [`PgRepository`], and its ledger's row follows in the same
//! transaction. What is relative, and what adds a product, is one statement.

use sqlx::{FromRow, PgConnection, PgPool, Row, postgres::PgRow};
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
        // Of the product, to the caller: that its entry is a row of its own is the crate's business.
        let of_product = |error| match error {
            postgres::Error::NotFound { .. } => Error::no_product(&changed.sku),
            postgres::Error::Suppressed { .. } => Error::suppressed(Product::ENTITY, &changed.sku),
            other => other.into(),
        };
        let locked = self.entries.lock_in(conn, &changed.sku).await;
        let locked = locked.map_err(of_product)?;
        let entry = Entry::of(changed);
        let edited = self.entries.update_in(conn, &entry).await;
        let edited = edited.map_err(of_product)?;
        let meant = Meant {
            name: &entry.name,
            price: entry.price,
            currency: &entry.currency,
            ..Meant::one_on(&locked)
        };
        record(conn, &edited, &meant, MovementKind::Edit, 0, token, None).await?;
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
        let meant = Meant::one_on(&shelf);
        record(
            conn,
            &retired,
            &meant,
            MovementKind::Retired,
            0,
            token,
            None,
        )
        .await?;
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
        let delta = counted.get().saturating_sub(shelf.stock);
        (shelf.stock, shelf.version) = (counted.get(), expected);
        let updated = self.shelves.update_in(conn, &shelf).await?;
        let meant = Meant::one_on(&shelf);
        record(
            conn,
            &updated,
            &meant,
            MovementKind::Count,
            delta,
            token,
            Some(reason),
        )
        .await?;
        updated.try_into()
    }
}

/// What an update was to store.
#[derive(Debug)]
struct Meant<'a> {
    version: i64,
    name: &'a str,
    price: i64,
    currency: &'a str,
    stock: i64,
    retired: bool,
}

impl<'a> Meant<'a> {
    /// The row, one version on.
    fn one_on<G>(row: &'a ProductRow<G>) -> Self {
        Self {
            version: row.version.get().saturating_add(1),
            name: &row.name,
            price: row.price,
            currency: &row.currency,
            stock: row.stock,
            retired: row.retired,
        }
    }
}

/// The ledger's row of a product that was just written, if it was written as it was meant.
async fn record<G>(
    conn: &mut PgConnection,
    product: &ProductRow<G>,
    meant: &Meant<'_>,
    kind: MovementKind,
    delta: i64,
    token: Uuid,
    reason: Option<&str>,
) -> Result<(), Error> {
    sqlx::query(sql::products::RECORD)
        .bind(&product.sku)
        .bind(meant.version)
        .bind(kind.code())
        .bind(meant.stock)
        .bind(delta)
        .bind(token)
        .bind(reason)
        .bind(meant.name)
        .bind(meant.price)
        .bind(meant.currency)
        .bind(meant.retired)
        .fetch_one(conn)
        .await
        .map_err(|error| Error::of_several(error, Product::ENTITY, &product.sku))?;
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
        .fetch_optional(&mut *conn)
        .await
        .map_err(|error| Error::of_several(error, Product::ENTITY, &new.sku))?;
    let exists = || Error::AlreadyExists {
        entity: Product::ENTITY,
        id: new.sku.to_string(),
    };
    let Some(answer) = added else {
        // Another transaction added it meanwhile; or something swallowed the row.
        let known: bool = sqlx::query_scalar(sql::products::EXISTS)
            .bind(&new.sku)
            .fetch_one(conn)
            .await
            .map_err(Error::before)?;
        return Err(if known {
            exists()
        } else {
            Error::suppressed(Product::ENTITY, &new.sku)
        });
    };
    if is_product(&answer)? {
        return Shelf::from_row(&answer)?.try_into();
    }
    if !answer.try_get::<bool, _>("old_retired")? {
        return Err(exists());
    }
    Err(Error::StockHeld {
        sku: new.sku.clone(),
        counted: new.stock.get(),
        reserved: answer.try_get("held")?,
    })
}

/// Whether the answer of a change has the product that was changed.
fn is_product(answer: &PgRow) -> Result<bool, Error> {
    Ok(answer.try_get::<Option<&str>, _>("sku")?.is_some())
}

/// Pauses the sale, or resumes it: the product as it is then, also if it was so before.
pub(super) async fn set_paused(
    conn: &mut PgConnection,
    sku: &Sku,
    paused: bool,
    token: Uuid,
) -> Result<Product, Error> {
    let kind = match paused {
        true => MovementKind::Paused,
        false => MovementKind::Resumed,
    };
    let answer = sqlx::query(sql::products::PAUSE)
        .bind(sku)
        .bind(paused)
        .bind(kind.code())
        .bind(token)
        .fetch_optional(conn)
        .await
        .map_err(|error| Error::of_several(error, Product::ENTITY, sku))?;
    match answer.as_ref().map(Shelf::from_row).transpose()? {
        Some(product) if !product.retired => product.try_into(),
        _ => Err(Error::no_product(sku)),
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
        .map_err(|error| Error::of_several(error, Product::ENTITY, sku))?;
    if let Some(changed) = &answer
        && is_product(changed)?
    {
        return Shelf::from_row(changed)?.try_into();
    }
    // Made before it is answered as it was then, whatever became of the product.
    if let Some((product, made)) = changed_by(conn, *id).await? {
        return if product.sku == *sku && made == *delta {
            Ok(product)
        } else {
            Err(Error::another_request("adjustment", id, None))
        };
    }
    let Some(locked) = answer else {
        return Err(Error::no_product(sku));
    };
    if locked.try_get("old_retired")? {
        return Err(Error::no_product(sku));
    }
    let stock: i64 = locked.try_get("old_stock")?;
    let available = stock.saturating_sub(locked.try_get("old_reserved")?);
    if available.saturating_add(*delta) < 0 {
        // Within the bounds of a quantity or not, it is more than there is.
        let requested = Quantity::new(-delta).unwrap_or(Quantity::MAX);
        let shortage = Shortage::new(sku.clone(), requested, available);
        return Err(Error::InsufficientStock(vec![shortage]));
    }
    if *delta > 0 && stock.saturating_add(*delta) > Stock::MAX.get() {
        return Err(adjustment.beyond());
    }
    // It fits and was not written: the work of a trigger or a policy.
    Err(Error::suppressed(Product::ENTITY, sku))
}
