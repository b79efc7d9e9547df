//! What all rows share: amounts of money, and values that no statement of the crate could have written.

use sqlx::{Row, postgres::PgRow};

use crate::inventory::model::{Error, Money, error::Repr};

/// Returns the error of a stored value that no statement of the crate could have written.
pub(crate) fn impossible(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Repr::Database(sqlx::Error::Decode(error.into())).into()
}

/// Reads an amount in the currency of its row.
pub(crate) fn money(row: &PgRow, amount: &str) -> Result<Money, Error> {
    let currency: &str = row.try_get("currency")?;
    let currency = currency.parse().map_err(impossible)?;
    Ok(Money::stored(row.try_get(amount)?, currency))
}

/// Returns whether a statement that decides under its locks wrote what it was asked.
pub(crate) fn wrote(rows: &[PgRow]) -> Result<bool, Error> {
    Ok(rows.first().map_or(Ok(false), |row| row.try_get("wrote"))?)
}
