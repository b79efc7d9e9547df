//! Orders after their checkout.

mod races;
mod steps;
