//! Adjustments of a stock, which end expired holds if they need their units.

use sqlx::Row;
use uuid::Uuid;

use super::{Changed, change, changed_by};
use crate::{
    Versioned,
    inventory::{
        model::{Adjustment, Error, ErrorKind, Product, Stock},
        postgres::{
            executor::Executor,
            reservations::expiry::{self, Expiry, Needed, Piece, Request},
            schema::SchemaConnection,
            sql,
        },
    },
};

/// Adjusts once per id, which is stored with the change and looked up when the outcome of an attempt is
/// unknown.
pub(crate) async fn exactly_once(
    executor: &Executor,
    adjustment: &Adjustment,
) -> Result<Product, Error> {
    executor
        .run("adjust stock", (), &|call, attempt, _| {
            Box::pin(async move {
                let result = expiry::attempt(executor, call.since, attempt, adjustment).await;
                // The id is used up: no attempt takes effect.
                if let Err(failed) = &result
                    && matches!(
                        failed.error.kind(),
                        ErrorKind::IdempotencyMismatch | ErrorKind::Archived
                    )
                {
                    call.in_doubt = false;
                }
                result
            })
        })
        .await
}

impl Request for Adjustment {
    type Answer = Product;

    fn needed(&self) -> Vec<Needed<'_>> {
        vec![Needed {
            sku: &self.sku,
            units: -self.delta,
            version: None,
        }]
    }

    async fn decide(
        &self,
        conn: &mut SchemaConnection<'_>,
        expiry: Expiry,
    ) -> Result<Piece<Product>, Error> {
        let statement = sqlx::query(conn.sql(sql::products::ADJUST))
            .bind(&self.sku)
            .bind(self.id)
            .bind(&self.reason)
            .bind(self.delta)
            .bind(Stock::MAX.get());
        let locked = match change(&mut *conn, &self.sku, statement).await? {
            Some(Changed {
                product,
                wrote: true,
                ..
            }) => return Ok(Piece::Done(product)),
            locked => locked,
        };
        // Read in a later snapshot, as the adjustment may have been made while this attempt waited for the
        // lock. Its answer is the adjustment, also if the product was retired since.
        if let Some((product, delta)) = changed_by(conn, self.id).await? {
            return if product.sku == self.sku && delta == self.delta {
                Ok(Piece::Done(product))
            } else {
                Err(Error::idempotency_mismatch("adjustment", self.id, None))
            };
        }
        if is_archived(conn, self.id).await? {
            return Err(Error::archived("adjustment", self.id));
        }
        let Some(Changed { product, row, .. }) = locked else {
            return Err(Error::no_product(&self.sku));
        };
        let available = product.available();
        let obtainable = available.saturating_add(row.try_get("expired")?);
        if obtainable.saturating_add(self.delta) < 0 {
            return Err(self.insufficient(obtainable));
        }
        if available.saturating_add(self.delta) < 0 {
            return Ok(Piece::Behind(expiry));
        }
        if self.delta > 0 && product.stock.get().saturating_add(self.delta) > Stock::MAX.get() {
            return Err(self.beyond());
        }
        // It fits and was not written: a trigger or a policy suppressed it.
        Err(Error::suppressed(Product::ENTITY, &self.sku))
    }
}

/// Returns whether the adjustment with this id was archived.
async fn is_archived(conn: &mut SchemaConnection<'_>, id: Uuid) -> Result<bool, Error> {
    sqlx::query_scalar(conn.sql(sql::products::TOKEN_ARCHIVED))
        .bind(id)
        .fetch_one(&mut **conn)
        .await
        .map_err(Error::before)
}
