use sqlx::{Row, postgres::PgRow};

use crate::inventory::model::{Cleanup, Error};

/// Reads the numbers of holds and units that a statement ended.
pub(crate) fn count(ended: &PgRow) -> Result<Cleanup, Error> {
    let count = |column| ended.try_get(column).map(i64::unsigned_abs);
    Ok(Cleanup::of_holds(count("holds")?, count("units")?))
}
