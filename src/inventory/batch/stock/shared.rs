use std::sync::atomic::AtomicBool;

use super::known::Memory;
use crate::inventory::postgres::PgInventory;

/// What the batches of one queue share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inventory: PgInventory,
    /// The facts of the last answers of the database.
    pub(super) memory: Memory,
    /// The last batch contained an id or a key that already exists.
    pub(super) careful: AtomicBool,
}

impl Shared {
    pub(super) fn new(inventory: PgInventory) -> Self {
        Self {
            inventory,
            memory: Memory::default(),
            careful: AtomicBool::new(false),
        }
    }
}
