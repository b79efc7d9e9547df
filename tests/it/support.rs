pub mod bank;
pub mod db;
pub mod goods;
pub mod idle_hook;
pub mod proxy;
pub mod strategies;
pub mod triggers;
