//! Why the demonstration could not go on.

use std::error::Error;

/// Whatever went wrong.
pub(crate) type Fault = Box<dyn Error + Send + Sync>;

/// The error and what caused it, on one line.
pub(crate) fn story(fault: &Fault) -> String {
    let mut text = fault.to_string();
    let mut cause = fault.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}
