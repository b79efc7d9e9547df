//! Recipes: each page is one task with its SQL and its Rust code. A test runs both on PostgreSQL.
//!
//! The code of a recipe is a module: copy the files that the page names, and rename the table.

// A page is three files with one name: the text, the schema (where there is one) and the code, both verbatim.
// On GitHub, a text links to its files; here, to the parts of the page: the first definition of a link counts.
macro_rules! recipe {
    ($name:ident, sql) => {
        recipe!($name, sql, "no_run");
    };
    ($name:ident) => {
        recipe!($name, "no_run");
    };
    // `ignore`: the code is of crates that this one does not depend on.
    ($name:ident, sql, $run:literal) => {
        recipe!(@page $name, $run, concat!(
            "\n# SQL\n\n```sql\n",
            include_str!(concat!("recipes/", stringify!($name), ".sql")),
            "```\n"
        ));
    };
    ($name:ident, $run:literal) => {
        recipe!(@page $name, $run, "");
    };
    (@page $name:ident, $run:literal, $sql:expr) => {
        #[doc = concat!(
            "[`", stringify!($name), ".sql`]: #sql\n",
            "[`", stringify!($name), ".rs`]: #rust\n\n",
            include_str!(concat!("recipes/", stringify!($name), ".md")),
            $sql,
            "\n# Rust\n\n```rust,", $run, "\n",
            include_str!(concat!("recipes/", stringify!($name), ".rs")),
            "# fn main() {}\n```\n"
        )]
        pub mod $name {}
    };
}

recipe!(audit_columns, sql);
#[cfg(feature = "inventory")]
recipe!(axum_migrations, sql, "ignore");
recipe!(checked_queries, sql, "ignore");
recipe!(conflict_tests);
#[cfg(feature = "inventory")]
recipe!(dashboards, "ignore");
recipe!(from_ecto, sql);
recipe!(from_ef_core, sql);
recipe!(from_for_update, sql);
recipe!(from_hibernate, sql);
recipe!(from_rails, sql);
recipe!(merging, sql);
recipe!(migrations_in_use);
recipe!(multi_tenant, sql);
#[cfg(feature = "inventory")]
recipe!(restricted_roles, sql);
recipe!(several_services, sql);
recipe!(soft_delete, sql);
