pub mod backoff;
mod faults;
pub mod metrics;
pub mod precondition;
mod promises;
pub mod retry;
pub mod serde;
pub mod spawned;
pub mod version;
