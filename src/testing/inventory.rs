//! An inventory whose calls meet faults.

use std::time::Duration;

use async_trait::async_trait;

use super::faults::Faults;
use crate::{
    Version,
    inventory::{
        Adjustment, Audit, Checkout, Cleanup, Error, Inventory, Movement, NewProduct, Order,
        OrderFilter, OrderId, OrderStep, Page, Product, Report, Reservation, ReservationId,
        Reserve, ReturnRequest, Sku, Stock,
        layer::{Layer, operations},
    },
};

/// An inventory whose calls meet the [`Faults`] of a script. All others go to the inventory behind.
///
/// Operations have the names of the methods of [`Inventory`]. `mark_paid`, `mark_payment_failed`, `cancel` and
/// `revive` are calls of `step`. [The module](super) has an example.
#[derive(Clone, Debug)]
pub struct FaultyInventory<I> {
    behind: I,
    faults: Faults<Error>,
}

impl<I: Inventory> FaultyInventory<I> {
    /// Puts a script without faults in front of an inventory.
    pub fn new(behind: I) -> Self {
        Self {
            behind,
            faults: Faults::of(Some(OPERATIONS)),
        }
    }

    /// Returns the script.
    pub const fn faults(&self) -> &Faults<Error> {
        &self.faults
    }
}

macro_rules! faulty {
    ($($name:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// The names of the operations.
        const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        #[async_trait]
        impl<I: Inventory> Layer for FaultyInventory<I> {
            type Behind = I;

            fn behind(&self) -> &I {
                &self.behind
            }

            $(
                async fn $name(&self $(, $argument: $type)*) -> Result<$answer, Error> {
                    let call = self.behind.$name($($argument),*);
                    self.faults.call(stringify!($name), call).await
                }
            )*
        }
    };
}

operations!(faulty);
