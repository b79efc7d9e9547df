//! Orders after their checkout.

pub mod life;
mod races;
mod steps;
