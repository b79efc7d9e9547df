//! One inventory, and the names that one test case uses in it.

use optilock::{
    Version,
    inventory::{Error, Inventory, Sku},
};
use uuid::Uuid;

use crate::support::goods::sku;

/// An inventory under test. Operations have small numbers in place of names, so that operations collide.
pub struct Case<'a> {
    pub shop: &'a dyn Inventory,
    /// Makes the names of the case unique.
    pub id: Uuid,
}

impl Case<'_> {
    pub fn sku(&self, product: u8) -> Sku {
        sku(&format!("{}-{product}", self.id))
    }

    pub fn id<T: From<Uuid>>(&self, number: u8) -> T {
        Uuid::from_u128(self.id.as_u128() ^ u128::from(number)).into()
    }

    pub fn key(&self, number: u8) -> String {
        format!("{} {number}", self.id)
    }
}

pub fn version(number: u8) -> Version {
    Version::new(number.into()).expect("a number from 1")
}

/// Returns the answer as text. `show` leaves the times out.
pub fn text<T>(answer: Result<T, Error>, show: impl FnOnce(T) -> String) -> String {
    match answer {
        Ok(value) => show(value),
        Err(error) => format!("{} {}: {error}", error.http_status(), error.code()),
    }
}
