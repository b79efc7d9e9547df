pub mod bank;
pub mod db;
pub mod goods;
pub mod proxy;
