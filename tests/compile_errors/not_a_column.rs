use optilock::{Version, sqlx, versioned_row};

struct Rating(u8);

struct Post {
    id: i64,
    rating: Rating,
    version: Version,
}

impl<'r> sqlx::FromRow<'r, sqlx::postgres::PgRow> for Post {
    fn from_row(_: &'r sqlx::postgres::PgRow) -> Result<Self, sqlx::Error> {
        Err(sqlx::Error::RowNotFound)
    }
}

versioned_row! { Post in "posts" {
    entity: "post", id: id: i64, version: version, columns: [rating],
} }

fn main() {}
