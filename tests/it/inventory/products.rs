//! Products: adjustments, held stock, versions.

mod adjustments;
mod held_stock;
mod last_version;
