//! The list of all statements of the inventory, for tests.

use super::{batch, postgres::sql};

/// Returns the name and the text of every statement that the inventory sends, so that a test can prepare each.
#[doc(hidden)]
pub fn statements() -> impl Iterator<Item = (String, &'static str)> {
    let batch = batch::STATEMENTS.map(|all| ("batch", all));
    sql::ALL.into_iter().chain(batch).flat_map(|(module, all)| {
        all.iter()
            .map(move |statement| (format!("{module}::{}", statement.name), statement.text))
    })
}

#[cfg(test)]
mod tests;
