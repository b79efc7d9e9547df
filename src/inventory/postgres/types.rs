//! The encoding of the model's values in PostgreSQL.

mod sku;
mod time;

pub(crate) use time::Time;
