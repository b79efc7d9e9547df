//! Products: each function is one attempt on one connection, and commits nothing of its own.

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{row, sql};
use crate::{
    Conflict, Version, Versioned,
    inventory::{
        Adjustment, Error, NewProduct, Page, Product, Quantity, Shortage, Sku, Stock,
        product::check_text,
    },
};

pub(super) async fn find(conn: &mut PgConnection, sku: &Sku) -> Result<Product, Error> {
    let found = sqlx::query(sql::PRODUCT)
        .bind(sku.as_str())
        .fetch_optional(conn)
        .await
        .map_err(Error::before)?;
    found
        .as_ref()
        .map(row::product)
        .transpose()?
        .ok_or_else(|| Error::no_product(sku))
}

pub(super) async fn at(
    conn: &mut PgConnection,
    sku: &Sku,
    expected: Version,
) -> Result<Product, Error> {
    let product = find(conn, sku).await?;
    if product.version == expected {
        Ok(product)
    } else {
        Err(Error::conflict(sku, expected, product.version))
    }
}

pub(super) async fn page(conn: &mut PgConnection, page: &Page<Sku>) -> Result<Vec<Product>, Error> {
    // Every SKU comes after the empty one.
    let after = page.after.as_ref().map_or("", Sku::as_str);
    let found = sqlx::query(sql::PRODUCTS)
        .bind(after)
        .bind(i64::from(page.limit()))
        .fetch_all(conn)
        .await;
    found
        .map_err(Error::before)?
        .iter()
        .map(row::product)
        .collect()
}

pub(super) async fn of(conn: &mut PgConnection, skus: &[Sku]) -> Result<Vec<Product>, Error> {
    let skus: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let found = sqlx::query(sql::PRODUCTS_OF)
        .bind(skus)
        .fetch_all(conn)
        .await;
    found
        .map_err(Error::before)?
        .iter()
        .map(row::product)
        .collect()
}

/// The product as it is now and the delta of the change that has this token, if it was made.
pub(super) async fn changed_by(
    conn: &mut PgConnection,
    token: Uuid,
) -> Result<Option<(Product, i64)>, Error> {
    let found = sqlx::query(sql::CHANGED_BY)
        .bind(token)
        .fetch_optional(conn)
        .await
        .map_err(Error::before)?;
    found
        .map(|found| Ok((row::product(&found)?, found.try_get("delta")?)))
        .transpose()
}

pub(super) async fn add(
    conn: &mut PgConnection,
    new: &NewProduct,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("name", &new.name)?;
    let added = sqlx::query(sql::ADD)
        .bind(new.sku.as_str())
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
        Some(added) if added.try_get::<Option<&str>, _>("sku")?.is_some() => row::product(&added),
        Some(held) => Err(Error::StockHeld {
            sku: new.sku.clone(),
            counted: new.stock.get(),
            reserved: held.try_get("held")?,
        }),
    }
}

pub(super) async fn edit(
    conn: &mut PgConnection,
    changed: &Product,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("name", &changed.name)?;
    let (sku, expected) = (&changed.sku, changed.revision);
    let edit = sqlx::query(sql::EDIT)
        .bind(sku.as_str())
        .bind(token)
        .bind(None::<&str>)
        .bind(expected)
        .bind(&changed.name)
        .bind(changed.price.minor())
        .bind(changed.price.currency().as_str());
    let answer = Answer::of(sku, edit.fetch_optional(conn).await)?;
    answer.product(|locked| {
        let conflict = || Conflict::new("catalogue entry", sku.as_str(), expected, locked.revision);
        (locked.revision != expected).then(|| conflict().into())
    })
}

pub(super) async fn retire(
    conn: &mut PgConnection,
    sku: &Sku,
    expected: Version,
    token: Uuid,
) -> Result<Product, Error> {
    let retire = sqlx::query(sql::RETIRE)
        .bind(sku.as_str())
        .bind(token)
        .bind(None::<&str>)
        .bind(expected);
    let answer = Answer::of(sku, retire.fetch_optional(conn).await)?;
    answer.product(|locked| locked.moved(sku, expected))
}

pub(super) async fn adjust(
    conn: &mut PgConnection,
    adjustment: &Adjustment,
) -> Result<Product, Error> {
    let Adjustment {
        id,
        sku,
        delta,
        reason,
    } = adjustment;
    let adjust = sqlx::query(sql::ADJUST)
        .bind(sku.as_str())
        .bind(id)
        .bind(reason)
        .bind(delta)
        .bind(Stock::MAX.get());
    let answer = Answer::of(sku, adjust.fetch_optional(&mut *conn).await)?;
    if answer.written.is_none()
        && let Some((product, made)) = changed_by(conn, *id).await?
    {
        return if product.sku == *sku && made == *delta {
            Ok(product)
        } else {
            Err(Error::IdempotencyMismatch {
                entity: "adjustment",
                id: id.to_string(),
            })
        };
    }
    answer.product(|locked| {
        let available = locked.stock - locked.reserved;
        if available + delta < 0 {
            // Within the bounds of a quantity or not, it is more than there is.
            let requested = Quantity::new(-delta).unwrap_or(Quantity::MAX);
            return Some(Error::InsufficientStock(vec![Shortage::new(
                sku.clone(),
                requested,
                available,
            )]));
        }
        (locked.stock + delta > Stock::MAX.get()).then(|| {
            Error::invalid(
                "adjustment",
                format!("takes the stock of {sku} beyond {}", Stock::MAX),
            )
        })
    })
}

pub(super) async fn count(
    conn: &mut PgConnection,
    sku: &Sku,
    expected: Version,
    counted: Stock,
    reason: &str,
    token: Uuid,
) -> Result<Product, Error> {
    check_text("reason", reason)?;
    let count = sqlx::query(sql::COUNT)
        .bind(sku.as_str())
        .bind(token)
        .bind(reason)
        .bind(expected)
        .bind(counted.get());
    let answer = Answer::of(sku, count.fetch_optional(conn).await)?;
    answer.product(|locked| {
        let held = || Error::StockHeld {
            sku: sku.clone(),
            counted: counted.get(),
            reserved: locked.reserved,
        };
        locked
            .moved(sku, expected)
            .or_else(|| (locked.reserved > counted.get()).then(held))
    })
}

/// What a `change!` statement answered: the row under its lock, and the product if it was written.
struct Answer {
    locked: Locked,
    written: Option<Product>,
}

struct Locked {
    stock: i64,
    reserved: i64,
    version: Version,
    revision: Version,
    sku: Sku,
}

impl Answer {
    fn of(sku: &Sku, answer: Result<Option<PgRow>, sqlx::Error>) -> Result<Self, Error> {
        let answer = answer
            .map_err(Error::own_key)?
            .ok_or_else(|| Error::no_product(sku))?;
        let locked = Locked {
            stock: answer.try_get("old_stock")?,
            reserved: answer.try_get("old_reserved")?,
            version: answer.try_get("old_version")?,
            revision: answer.try_get("old_revision")?,
            sku: sku.clone(),
        };
        let written = answer
            .try_get::<Option<&str>, _>("sku")?
            .map(|_| row::product(&answer))
            .transpose()?;
        Ok(Self { locked, written })
    }

    /// The product, or what `why` makes of the row. A row that fits and was not written is the work
    /// of a trigger or a policy.
    fn product(self, why: impl FnOnce(&Locked) -> Option<Error>) -> Result<Product, Error> {
        let Self { locked, written } = self;
        written.ok_or_else(|| {
            let suppressed = || Error::Suppressed {
                entity: Product::ENTITY,
                id: locked.sku.to_string(),
            };
            why(&locked).unwrap_or_else(suppressed)
        })
    }
}

impl Locked {
    fn moved(&self, sku: &Sku, expected: Version) -> Option<Error> {
        (self.version != expected).then(|| Error::conflict(sku, expected, self.version))
    }
}
