//! What a clear error is.

use std::fmt::Display;

use proptest::{prop_assert, prop_assert_eq, test_runner::TestCaseError};

use optilock::inventory::{Error, ErrorKind};

/// Parts of a text that belong to the implementation.
const INTERNALS: [&str; 8] = [
    ".rs:",
    "src/",
    "panicked",
    "sqlx",
    "serde",
    "Repr",
    "unwrap",
    "optilock::",
];

/// Asserts that the text says something, and nothing of the implementation. The input may be quoted.
pub fn is_clear(error: &impl Display, input: &str) -> Result<(), TestCaseError> {
    let text = error.to_string();
    prop_assert!(text.trim().len() >= 10, "{:?} says nothing", text);
    prop_assert!(text.len() <= 6 * input.len() + 400, "{} bytes", text.len());
    for internal in INTERNALS {
        let quoted = input.contains(internal);
        prop_assert!(quoted || !text.contains(internal), "{:?}", text);
    }
    Ok(())
}

/// Asserts the same, and that the request is called invalid.
pub fn is_invalid(error: impl Into<Error>, input: &str) -> Result<(), TestCaseError> {
    let error = error.into();
    prop_assert_eq!(error.kind(), ErrorKind::Invalid, "{:?}", error);
    prop_assert_eq!((error.http_status(), error.code()), (400, "invalid"));
    is_clear(&error, input)
}
