//! The audit of the products in memory.

use super::store::Store;
use crate::inventory::model::{Audit, Discrepancy, DiscrepancyKind, HoldState};

impl Store {
    /// Compares what products store with their ledgers and holds. Everything else can't disagree, as only this
    /// crate writes it.
    pub(super) fn audit(&self) -> Audit {
        let mut discrepancies = Vec::new();
        for (sku, stored) in &self.products {
            let product = &stored.product;
            let mut compare = |kind, expected, found| {
                if expected != found {
                    discrepancies.push(Discrepancy::new(kind, sku.as_str(), expected, found));
                }
            };
            let sum = stored.ledger.iter().map(|movement| movement.delta).sum();
            compare(DiscrepancyKind::Stock, sum, product.stock.get());
            let count = i64::try_from(stored.ledger.len()).unwrap_or(i64::MAX);
            compare(DiscrepancyKind::Versions, product.version.get(), count);
            let reservations = self.reservations.values();
            let holds = reservations.flat_map(|reservation| &reservation.holds);
            let live = holds.filter(|hold| hold.sku == *sku && hold.state == HoldState::Held);
            let held = live.map(|hold| hold.held).sum();
            compare(DiscrepancyKind::Reserved, held, product.reserved.get());
        }
        discrepancies.sort_by_key(|discrepancy| discrepancy.kind);
        Audit::new(discrepancies)
    }
}
