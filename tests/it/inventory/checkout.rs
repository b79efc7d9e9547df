//! Checkouts.

mod scenarios;
mod storms;
