//! The example's shop over real HTTP.

mod carts;
mod checkout;
mod client;
mod crowd;
mod dashboard;
mod documents;
mod process;
mod products;
mod refusals;
