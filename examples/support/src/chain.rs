//! An error with its causes, for a line on the screen.

use std::{error::Error, iter::successors};

/// Returns the error and its causes on one line.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = successors(Some(error), |error| (*error).source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_has_every_cause() {
        let refused = std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "refused");
        let error = sqlx::Error::Io(refused);
        assert!(chain(&error).ends_with(": refused"), "{}", chain(&error));
    }
}
