//! Parameters with a value for each line of a request.
//!
//! PostgreSQL plans a prepared statement again at each execution while plans for the values cost less than one
//! for all values. With arrays they seem to: the size of an array is known only with its value. So the
//! statements that run for nearly every request have a variant for one line, with scalars, which is planned
//! once per connection. It saves half to four fifths of their time.

use sqlx::{
    Encode, Postgres, Type,
    postgres::{PgArguments, PgHasArrayType},
    query::Query,
};

use crate::inventory::postgres::schema::SchemaConnection;

/// A statement in two forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forms {
    /// For one line, with scalars.
    pub(crate) one: &'static str,
    /// For several lines, with arrays.
    pub(crate) several: &'static str,
}

impl Forms {
    /// Returns the form for this number of lines.
    pub(crate) fn query<'q>(
        self,
        conn: &SchemaConnection<'_>,
        lines: usize,
    ) -> Query<'q, Postgres, PgArguments> {
        let statement = if lines == 1 { self.one } else { self.several };
        sqlx::query(conn.sql(statement))
    }
}

/// Binds a value for each line: a scalar for one line, an array for several.
pub(crate) fn bind<'q, T>(
    query: Query<'q, Postgres, PgArguments>,
    mut column: Vec<T>,
) -> Query<'q, Postgres, PgArguments>
where
    T: Encode<'q, Postgres> + Type<Postgres> + PgHasArrayType + 'q,
{
    if column.len() == 1
        && let Some(value) = column.pop()
    {
        query.bind(value)
    } else {
        query.bind(column)
    }
}
