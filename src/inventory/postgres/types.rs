//! The model's values as PostgreSQL keeps them.

mod sku;
mod time;

pub(crate) use time::Time;
