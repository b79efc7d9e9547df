//! Regression tests of the inventory, each against a promise of the documentation.

mod cached_stock;
mod clean_ups;
mod expired_holds;
mod hooked_checkouts;
mod lost_connections;
mod operations;
mod schema_changes;
mod suppressed_checkouts;
