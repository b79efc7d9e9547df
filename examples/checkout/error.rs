//! The demo's errors.

use std::error::Error;

/// Any error that ends the demo.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// Returns the error and its sources on one line.
pub(crate) fn chain(error: &BoxError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(": {error}");
        source = error.source();
    }
    text
}
