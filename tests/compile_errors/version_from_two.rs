use optilock::{Version, sqlx, versioned_row};

#[derive(sqlx::FromRow)]
struct Post {
    id: i64,
    title: String,
    version: Version,
}

versioned_row! { Post in "posts" {
    entity: "post", id: id: i64, version: version as text from 2, columns: [title],
} }

fn main() {}
