//! The example's shop over real HTTP.

mod checkout;
mod client;
mod crowd;
mod dashboard;
mod documents;
mod products;
mod refusals;
