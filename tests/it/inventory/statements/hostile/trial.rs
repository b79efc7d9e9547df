//! The inventory under test, and the rows that its operations need.

use optilock::{
    Version,
    inventory::{Adjustment, Checkout, Inventory, PgInventory, ReservationId, Reserve},
    sqlx::{self, PgPool},
};

use crate::support::goods::{add, cart, sku, units};

/// An inventory whose sessions see the hostile code.
pub struct Trial<'a> {
    pub label: &'a str,
    pub shop: &'a dyn Inventory,
    /// Prepares the rows. Its sessions see no hostile code.
    pub direct: &'a PgInventory,
    pub pool: &'a PgPool,
    /// Two products on sale, and one that is retired.
    pub one: String,
    pub two: String,
    pub retired: String,
}

impl<'a> Trial<'a> {
    /// Adds the products.
    pub async fn new(
        label: &'a str,
        shop: &'a dyn Inventory,
        direct: &'a PgInventory,
        pool: &'a PgPool,
    ) -> Self {
        let name = |product: &str| format!("{label} {product}");
        let trial = Self {
            label,
            shop,
            direct,
            pool,
            one: name("one"),
            two: name("two"),
            retired: name("gone"),
        };
        for product in [&trial.one, &trial.two] {
            add(direct, product, 1_000).await;
        }
        let retired = add(direct, &trial.retired, 5).await;
        let retired = direct.retire_product(&retired.sku, retired.version).await;
        retired.unwrap();
        trial
    }

    pub fn name(&self, product: &str) -> String {
        format!("{} {product}", self.label)
    }

    pub fn single(&self) -> Checkout {
        cart(&[(&self.one, 1)])
    }

    pub fn both(&self) -> Checkout {
        cart(&[(&self.one, 1), (&self.two, 1)])
    }

    pub async fn version(&self, product: &str) -> Version {
        self.direct.product(&sku(product)).await.unwrap().version
    }

    /// Reserves all available units of a product, and lets the reservation expire.
    pub async fn expired(&self, product: &str) -> ReservationId {
        self.direct.cleanup_reservations().await.unwrap();
        let more = Adjustment::new(sku(product), 10, "delivery").unwrap();
        let left = self.direct.adjust_stock(more).await.unwrap().available();
        let held = Reserve::new([(sku(product), units(left))]).unwrap();
        let held = self.direct.reserve(held).await.unwrap();
        let past = "UPDATE optilock.holds SET expires_at = expires_at - interval '1 hour' WHERE reservation_id = $1";
        sqlx::query(past)
            .bind(held.id.uuid())
            .execute(self.pool)
            .await
            .unwrap();
        held.id
    }
}

/// Notes the answer of each call under its label.
macro_rules! note {
    ($trial:ident, $failures:ident; $($operation:literal: $call:expr;)*) => {$(
        let answer = $call.await;
        $failures.note(&format!("{}: {}", $trial.label, $operation), answer);
    )*};
}
pub(super) use note;
