pub mod metrics;
pub mod serde;
pub mod spawned;
