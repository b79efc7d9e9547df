//! What a sale writes beside the order, in its transaction: it empties the cart and stores the delivery.

use std::{fmt, slice};

use async_trait::async_trait;
use optilock::{
    Version,
    inventory::{Accepted, BoxError, Checkout, Error, Line, OnAccepted, Refusals},
    postgres::{Bulk, WriteOutcome},
    sqlx::PgConnection,
};

use crate::{
    address::Address,
    carts::{Cart, Carts},
    deliveries::{self, NewDelivery},
};

/// What a checkout brings along: the cart that it buys, and where to deliver it.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// Whose cart it is.
    pub customer: String,
    /// The version of the cart that the customer has seen.
    pub cart_version: Version,
    /// The key of the request, if it has one.
    pub idempotency_key: Option<String>,
    /// Where to deliver.
    pub address: Address,
}

impl Purchase {
    /// Returns the request for the order of this version of the cart, of which there is one.
    ///
    /// # Errors
    ///
    /// Those of [`Checkout::new`].
    pub fn request(self, lines: impl IntoIterator<Item = Line>) -> Result<Checkout, Error> {
        let request = Checkout::new(lines)?
            .with_customer(&self.customer)
            .with_idempotency_key(format!("cart-{}", self.cart_version));
        Ok(request.with_context(self))
    }
}

/// The cart is no longer at the version that was bought: the sale is undone.
#[derive(Debug)]
pub(crate) struct CartChanged;

impl fmt::Display for CartChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the cart was changed during the checkout")
    }
}

impl std::error::Error for CartChanged {}

/// The key of the request belongs to another order: the sale is undone.
#[derive(Debug)]
pub(crate) struct KeyTaken;

impl fmt::Display for KeyTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the key was used for another order during the checkout")
    }
}

impl std::error::Error for KeyTaken {}

/// The hook of the shop. The orders of a race, which have no cart, are left as they are.
#[derive(Debug)]
pub(crate) struct Sales {
    carts: Carts,
}

impl Sales {
    pub(crate) const fn new(carts: Carts) -> Self {
        Self { carts }
    }

    /// Empties the carts, each at the version that was bought. Returns those that have changed.
    async fn empty_carts(
        &self,
        conn: &mut PgConnection,
        bought: &[(&Accepted, &Purchase)],
    ) -> Result<Refusals, BoxError> {
        // Of two versions of one cart only the newest can be the current one.
        let is_newest = |(_, purchase): &(&Accepted, &Purchase)| {
            let mut others = bought.iter().map(|(_, other)| other);
            !others.any(|other| {
                other.customer == purchase.customer && other.cart_version > purchase.cart_version
            })
        };
        let (newest, older): (Vec<_>, Vec<_>) = bought.iter().copied().partition(is_newest);
        let rows: Vec<Cart> = newest
            .iter()
            .map(|(_, purchase)| Cart::emptied(&purchase.customer, purchase.cart_version))
            .collect();
        let outcomes = self.carts.rows().update_all_in(conn, &rows, Bulk::Each);
        let outcomes = outcomes.await?;
        let mut refusals = Refusals::none();
        for ((accepted, _), outcome) in newest.iter().zip(outcomes) {
            if !matches!(outcome, WriteOutcome::Written(_)) {
                refusals.refuse(accepted.order.id, CartChanged);
            }
        }
        for (accepted, _) in older {
            refusals.refuse(accepted.order.id, CartChanged);
        }
        Ok(refusals)
    }
}

#[async_trait]
impl OnAccepted for Sales {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        let refusals = self.on_accepted_many(conn, slice::from_ref(accepted));
        refusals.await?.into_result()
    }

    async fn on_accepted_many(
        &self,
        conn: &mut PgConnection,
        accepted: &[Accepted],
    ) -> Result<Refusals, BoxError> {
        let bought: Vec<(&Accepted, &Purchase)> = accepted
            .iter()
            .filter_map(|accepted| Some((accepted, accepted.context()?)))
            .collect();
        if bought.is_empty() {
            return Ok(Refusals::none());
        }
        let refusals = self.empty_carts(conn, &bought).await?;
        // With a refusal the batch is rolled back, and written again without it.
        if refusals.is_empty() {
            let new = bought.iter().map(|(accepted, purchase)| NewDelivery {
                order: accepted.order.id,
                purchase,
            });
            let mut taken = Refusals::none();
            for order in deliveries::create(conn, new).await? {
                taken.refuse(order, KeyTaken);
            }
            return Ok(taken);
        }
        Ok(refusals)
    }
}
