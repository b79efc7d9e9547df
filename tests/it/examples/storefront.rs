//! The example's shop over real HTTP.

mod camel_case;
mod carts;
mod checkout;
mod client;
mod connections;
mod crowd;
mod dashboard;
mod documents;
mod languages;
mod outages;
mod payments;
mod process;
mod products;
mod refusals;
mod sale;
