use optilock::{Version, sqlx, versioned_row};

#[derive(sqlx::FromRow)]
struct Post<T> {
    id: i64,
    title: T,
    version: Version,
}

versioned_row! { Post<T> in "posts" {
    entity: "post", id: id: i64, version: version, columns: [title],
} }

fn main() {}
