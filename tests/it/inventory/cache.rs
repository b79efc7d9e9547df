//! Stock for display.

mod stock;
