//! Products: adjustments, held stock, pauses, versions.

mod adjustments;
mod held_stock;
mod import;
mod last_version;
mod pause;
