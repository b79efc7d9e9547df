pub mod classification;
mod memory_rows;
pub mod pool;
mod regressions;
pub mod repository;
pub mod responses;
pub mod row;
pub mod transaction;
