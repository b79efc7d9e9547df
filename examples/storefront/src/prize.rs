//! The product that the buyers of a race want. The shop does not list it.

use optilock::inventory::{InvalidValue, Sku};
use uuid::Uuid;

const PREFIX: &str = "race-";

/// Returns a SKU for the prize of a new race.
pub(crate) fn new_sku() -> Result<Sku, InvalidValue> {
    Sku::new(format!("{PREFIX}{}", Uuid::now_v7()))
}

pub(crate) fn is_prize(sku: &Sku) -> bool {
    sku.as_str().starts_with(PREFIX)
}
