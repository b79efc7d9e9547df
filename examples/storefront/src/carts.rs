//! The carts: one versioned row for each customer.

use optilock::{
    IfMatch, RetryError, RetryPolicy, Version,
    inventory::{Checkout, Line, Money, Quantity, Sku},
    postgres::{Error, ErrorKind, PgRepository},
    sqlx::{self, PgPool, types::Json},
    versioned_row,
};
use serde::{Deserialize, Serialize};

/// An item of a cart.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Item {
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
    /// The price when the item was put into the cart.
    pub(crate) price: Money,
    /// The version of the product that the client expects at the checkout.
    pub(crate) version: Option<Version>,
}

impl Item {
    /// Returns the line of a checkout, which fails if price or version have changed.
    pub(crate) fn line(&self) -> Line {
        let line = Line::new(self.sku.clone(), self.quantity).expecting_price(self.price);
        match self.version {
            Some(version) => line.expecting_version(version),
            None => line,
        }
    }
}

/// The cart of a customer. Its version counts the changes; a sale is one of them.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Cart {
    customer: String,
    items: Json<Vec<Item>>,
    pub(crate) version: Version,
}

versioned_row! { Cart in "storefront.shop_carts" {
    entity: "cart",
    id: customer: String,
    version: version,
    columns: [items],
} }

impl Cart {
    /// Returns the cart without items, at a version that the database has to have.
    pub(crate) fn emptied(customer: &str, version: Version) -> Self {
        Self {
            customer: customer.to_owned(),
            items: Json(Vec::new()),
            version,
        }
    }

    /// The items, the oldest first.
    pub(crate) fn items(&self) -> &[Item] {
        &self.items
    }

    /// Puts an item in, in the place of an earlier one of its product.
    ///
    /// # Errors
    ///
    /// [`NotChanged::Full`].
    pub(crate) fn put(&mut self, item: &Item) -> Result<(), NotChanged> {
        let items = &mut *self.items;
        if let Some(known) = items.iter_mut().find(|known| known.sku == item.sku) {
            known.clone_from(item);
        } else if items.len() < Checkout::MAX_LINES {
            items.push(item.clone());
        } else {
            return Err(NotChanged::Full);
        }
        Ok(())
    }

    pub(crate) fn remove(&mut self, sku: &Sku) {
        self.items.retain(|item| item.sku != *sku);
    }

    pub(crate) fn clear(&mut self) {
        self.items.clear();
    }
}

/// Why a cart was not changed.
#[derive(Debug)]
pub(crate) enum NotChanged {
    /// `If-Match` names another version than that of the cart, which is this one.
    Stale(Cart),
    /// The cart is as the change would leave it.
    Same(Cart),
    /// The cart has as many items as an order can have.
    Full,
    /// Whether it was changed is not known.
    Unknown,
    Failed(Error),
}

impl From<Error> for NotChanged {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<RetryError<NotChanged>> for NotChanged {
    fn from(gave_up: RetryError<NotChanged>) -> Self {
        gave_up.try_into_inner().unwrap_or(Self::Unknown)
    }
}

/// The carts of all customers.
#[derive(Clone, Debug)]
pub(crate) struct Carts(PgRepository<Cart>);

impl Carts {
    pub(crate) fn new(pool: PgPool) -> Self {
        Self(PgRepository::new(pool))
    }

    /// Returns the rows, for a transaction of the caller's.
    pub(crate) const fn rows(&self) -> &PgRepository<Cart> {
        &self.0
    }

    /// Returns the customer's cart: one without items, at the first version, if the customer has none yet.
    pub(crate) async fn of(&self, customer: &str) -> Result<Cart, Error> {
        let found = self.0.find(&customer.to_owned()).await?;
        Ok(found.unwrap_or_else(|| Cart::emptied(customer, Version::FIRST)))
    }

    /// Makes the customer's cart, unless there is one.
    async fn make(&self, customer: &str) -> Result<(), Error> {
        if self.0.find(&customer.to_owned()).await?.is_some() {
            return Ok(());
        }
        match self
            .0
            .insert(&Cart::emptied(customer, Version::FIRST))
            .await
        {
            // Another request of the customer's was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            made => made.map(drop),
        }
    }

    /// Changes the cart, at the versions in `if_match` or else at any. Returns it as it is then.
    ///
    /// # Errors
    ///
    /// [`NotChanged`] says why.
    pub(crate) async fn change(
        &self,
        customer: &str,
        if_match: Option<&IfMatch>,
        change: impl Fn(&mut Cart) -> Result<(), NotChanged> + Send + Sync,
    ) -> Result<Cart, NotChanged> {
        // After a conflict this runs again, with the row that the other writer has left.
        let checked = |cart: &mut Cart| {
            if if_match.is_some_and(|tags| tags.check(cart.version).is_err()) {
                return Err(NotChanged::Stale(cart.clone()));
            }
            let before = cart.items.clone();
            change(cart)?;
            if *cart.items == *before {
                return Err(NotChanged::Same(cart.clone()));
            }
            Ok(())
        };
        self.make(customer).await?;
        let customer = customer.to_owned();
        let policy = RetryPolicy::new();
        let changed = self.0.modify(&policy, &customer, checked).await;
        match changed.map_err(NotChanged::from) {
            Ok((cart, ())) | Err(NotChanged::Same(cart)) => Ok(cart),
            Err(refused) => Err(refused),
        }
    }
}
