//! The list of all statements of the inventory, and an inventory that sends others, for tests.

use super::{
    batch,
    postgres::{Dialect, PgInventory, migrations, sql},
};

/// Returns the name and the text of every statement that the inventory sends, so that a test can prepare each.
#[doc(hidden)]
pub fn statements() -> impl Iterator<Item = (String, &'static str)> {
    let batch = batch::STATEMENTS.map(|all| ("batch", all));
    sql::ALL.into_iter().chain(batch).flat_map(|(module, all)| {
        all.iter()
            .map(move |statement| (format!("{module}::{}", statement.name), statement.text))
    })
}

/// Returns the names and the texts of all statements, and of all steps of the migrations, in this dialect.
#[doc(hidden)]
#[must_use]
pub fn statements_in(dialect: Dialect) -> Vec<(String, String)> {
    let statements = statements().map(|(name, text)| (name, dialect.statement(text).into_owned()));
    let steps = migrations()
        .filter_map(|text| Some((String::from("migration"), dialect.step(text)?.into_owned())));
    statements.chain(steps).collect()
}

/// Returns the inventory with other texts for some of its statements, by their names: it writes as another version of
/// the crate does.
#[doc(hidden)]
pub fn replacing(mut shop: PgInventory, texts: &[(&str, &str)]) -> PgInventory {
    let own = statements().filter_map(|(name, text)| {
        let (_, other) = texts.iter().find(|(of, _)| *of == name)?;
        Some((text, (*other).to_owned()))
    });
    let schema = shop.schema().replacing(own.collect());
    shop.executor_mut().set_schema(schema);
    shop
}

#[cfg(test)]
mod tests;
