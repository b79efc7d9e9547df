//! The binding of a row's values, for `versioned_row!`.

use sqlx::{
    Arguments, Encode, Postgres, Type,
    error::BoxDynError,
    postgres::{PgArguments, PgBindIterExt, PgHasArrayType},
};

use super::row::{Column, RustType};

/// A field that is a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be a column of a versioned row",
    note = "it needs sqlx's `Type` and `Encode` for `Postgres`"
)]
pub trait Value: for<'q> Encode<'q, Postgres> + Type<Postgres> {}

#[diagnostic::do_not_recommend]
impl<T: for<'q> Encode<'q, Postgres> + Type<Postgres>> Value for T {}

/// A column whose values for many rows are sent as one array.
#[diagnostic::on_unimplemented(
    message = "many values of `{Self}` can't be sent as one array",
    note = "a column that is an array itself is marked: `columns: [tags as array]`",
    note = "any other type needs sqlx's `PgHasArrayType`"
)]
pub trait Scalar: Value + PgHasArrayType {}

#[diagnostic::do_not_recommend]
impl<T: Value + PgHasArrayType> Scalar for T {}

/// An array column: PostgreSQL has no arrays of arrays of unequal length.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an array column",
    note = "`as array` is for `Vec<T>` and `Option<Vec<T>>`"
)]
pub trait Array {
    /// The type of an item.
    type Item: Scalar;
    /// Returns the items, or `None` for `NULL`.
    fn items(&self) -> Option<&[Self::Item]>;
}

impl<T: Scalar> Array for Vec<T> {
    type Item = T;

    fn items(&self) -> Option<&[T]> {
        Some(self)
    }
}

impl<T: Scalar> Array for Option<Vec<T>> {
    type Item = T;

    fn items(&self) -> Option<&[T]> {
        self.as_deref()
    }
}

/// Binds one value.
///
/// # Errors
///
/// Those of its `Encode`.
pub fn bind<T: Value>(arguments: &mut PgArguments, value: &T) -> Result<(), BoxDynError> {
    arguments.add(value)
}

/// Binds one array of values.
///
/// # Errors
///
/// Those of [`bind`].
pub fn bind_scalars<R, T: Scalar>(
    arguments: &mut PgArguments,
    rows: &[&R],
    field: fn(&R) -> &T,
) -> Result<(), BoxDynError> {
    arguments.add(rows.iter().map(|row| field(row)).bind_iter())
}

/// Binds three arrays: the items of all rows, the row of each item, and which rows are `NULL`.
///
/// # Errors
///
/// Those of [`bind`].
pub fn bind_arrays<R, A: Array>(
    arguments: &mut PgArguments,
    rows: &[&R],
    field: fn(&R) -> &A,
) -> Result<(), BoxDynError> {
    let cells = rows.iter().map(|row| field(row).items());
    let items = cells.clone().flatten().flatten();
    let places = cells.clone().zip(1_i64..).flat_map(|(items, row)| {
        let count = items.map_or(0, <[_]>::len);
        std::iter::repeat_n(row, count)
    });
    arguments.add(items.bind_iter())?;
    arguments.add(places.bind_iter())?;
    arguments.add(cells.map(|items| items.is_none()).bind_iter())
}

/// Returns the type of a field, from a closure that returns the field.
#[must_use]
pub fn type_of<R, T: Value>(_: fn(&R) -> &T) -> RustType {
    RustType {
        info: T::type_info,
        reads: T::compatible,
    }
}

/// Returns a field's name without the prefix of a raw identifier: `r#type` is the column `type`.
#[must_use]
pub const fn name(field: &'static str) -> &'static str {
    if let [b'r', b'#', name @ ..] = field.as_bytes()
        && let Ok(name) = std::str::from_utf8(name)
    {
        return name;
    }
    field
}

/// Checks the names at compile time: PostgreSQL would refuse or truncate an invalid one.
pub const fn check(table: &str, columns: &[Column]) {
    check_table(table);
    let mut at = 0;
    while at < columns.len() {
        check_name(columns[at].name.as_bytes(), 0, columns[at].name.len());
        let mut other = at + 1;
        while other < columns.len() {
            assert!(
                !equal(columns[at].name.as_bytes(), columns[other].name.as_bytes()),
                "versioned_row!: a column is named twice"
            );
            other += 1;
        }
        at += 1;
    }
}

/// Checks the name of a table, or those of a schema and a table with a dot between.
const fn check_table(table: &str) {
    let bytes = table.as_bytes();
    let (mut from, mut at, mut dots) = (0, 0, 0);
    while at < bytes.len() {
        if bytes[at] == b'.' {
            check_name(bytes, from, at);
            from = at + 1;
            dots += 1;
        }
        at += 1;
    }
    check_name(bytes, from, at);
    assert!(
        dots <= 1,
        "versioned_row!: a table is \"table\" or \"schema.table\""
    );
}

const fn check_name(bytes: &[u8], from: usize, to: usize) {
    assert!(from < to, "versioned_row!: a name is empty");
    assert!(
        to - from <= 63,
        "versioned_row!: a name is longer than PostgreSQL's 63 bytes"
    );
    let mut at = from;
    while at < to {
        assert!(bytes[at] != 0, "versioned_row!: a name holds a zero byte");
        at += 1;
    }
}

const fn equal(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}
