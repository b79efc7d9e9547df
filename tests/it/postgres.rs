pub mod classification;
pub mod pool;
mod regressions;
pub mod repository;
pub mod row;
pub mod transaction;
