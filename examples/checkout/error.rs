//! The demo's errors.

use std::error::Error;

/// Any error that ends the demo.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;
