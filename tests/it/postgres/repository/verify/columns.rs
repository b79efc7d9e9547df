//! Tables and columns that fit a row type or do not.

use optilock::{Version, postgres::PgRepository, sqlx, versioned_row};

use super::{ACCOUNTS, problems, run};
use crate::support::{bank::Account, db::Db};

/// Replacements in the text of `ACCOUNTS` after which the table still fits.
const FITTING: [(&str, &str); 5] = [
    ("owner text", "owner varchar(9)"),
    ("owner text NOT NULL", "owner text"),
    (" PRIMARY KEY", " NOT NULL, UNIQUE (id) INCLUDE (owner)"),
    (
        "version bigint NOT NULL",
        "version bigint NOT NULL DEFAULT length('')",
    ),
    (
        "version bigint NOT NULL)",
        "version bigint NOT NULL) INHERITS (bank.parent)",
    ),
];

/// Replacements in the text of `ACCOUNTS`, and the problems of the result.
const MISMATCHES: [(&str, &str, &[&str]); 11] = [
    (
        " PRIMARY KEY",
        "",
        &["the id has no unique index of its own"],
    ),
    (
        " PRIMARY KEY",
        ", UNIQUE (id, owner)",
        &["the id has no unique index of its own"],
    ),
    (
        "id bigint",
        "id int",
        &["column id is INT4, the field is INT8"],
    ),
    (
        "version bigint NOT NULL",
        "version bigint",
        &["column version may be NULL"],
    ),
    (
        "version bigint NOT NULL",
        "version int NOT NULL",
        &["column version is INT4, and is described as int8: describe it `as int4`"],
    ),
    (
        "version bigint NOT NULL",
        "version bigint NOT NULL DEFAULT 0",
        &["column version has the default 0, and versions begin at 1: SET DEFAULT 1"],
    ),
    (
        "version bigint NOT NULL",
        "version bigint DEFAULT '-1'::int",
        &[
            "column version may be NULL",
            "column version has the default -1, and versions begin at 1: SET DEFAULT 1",
        ],
    ),
    (
        "version bigint NOT NULL)",
        "version bigint NOT NULL); CREATE TABLE bank.\"Child\" () INHERITS (bank.accounts)",
        &[
            "an id may be there twice, as bank.\"Child\" inherits from it: use partitions, or take it \
             out by NO INHERIT, or promise `as unique`",
        ],
    ),
    (
        "owner text NOT NULL, cents bigint NOT NULL",
        "holder text",
        &["there is no column owner", "there is no column cents"],
    ),
    (
        "owner text NOT NULL, cents bigint",
        "owner int NOT NULL, cents numeric",
        &[
            "column owner is INT4, the field is TEXT",
            "column cents is NUMERIC, the field is INT8",
        ],
    ),
    (
        "cents bigint NOT NULL",
        "cents bigint GENERATED ALWAYS AS (1) STORED",
        &["column cents is generated: it belongs into read_only"],
    ),
];

const NO_PROBLEM: [&str; 0] = [];

fn replaced(found: &str, replacement: &str) -> String {
    assert!(ACCOUNTS.contains(found));
    ACCOUNTS.replace(found, replacement)
}

#[tokio::test]
async fn a_fitting_table_has_no_problem() {
    let db = Db::empty().await;
    assert_eq!(problems::<Account>(&db, ACCOUNTS).await, NO_PROBLEM);
    for (found, replacement) in FITTING {
        let table = replaced(found, replacement);
        assert_eq!(
            problems::<Account>(&db, &table).await,
            NO_PROBLEM,
            "{table}"
        );
    }
}

#[tokio::test]
async fn every_mismatch_of_a_column_is_reported() {
    let db = Db::empty().await;
    for (found, replacement, expected) in MISMATCHES {
        let table = replaced(found, replacement);
        assert_eq!(problems::<Account>(&db, &table).await, expected, "{table}");
    }
}

#[tokio::test]
async fn a_missing_table_and_a_view_are_reported() {
    let db = Db::empty().await;
    assert_eq!(
        problems::<Account>(&db, "").await,
        ["there is none, or it is in a schema that is neither named nor searched"]
    );
    let view = format!(
        "{}; CREATE VIEW bank.accounts AS SELECT * FROM bank.t",
        replaced("bank.accounts", "bank.t")
    );
    assert_eq!(problems::<Account>(&db, &view).await, ["it is not a table"]);
}

#[tokio::test]
async fn a_condition_on_a_missing_column_is_reported() {
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct OpenAccount {
        id: i64,
        owner: Option<String>,
        version: Version,
    }
    versioned_row! { OpenAccount in "bank.accounts" {
        entity: "account", id: id: i64, version: version, columns: [owner], only: "NOT closed",
    } }
    let db = Db::empty().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let table = "CREATE SCHEMA bank;
        CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text, version bigint NOT NULL)";
    run(&mut conn, table).await;
    let accounts = PgRepository::<OpenAccount>::new(db.pool.clone());
    let refused = accounts.verify_in(&mut conn).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "table bank.accounts doesn't fit: the statement that reads is refused: column \"closed\" does not exist"
    );
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_reported() {
    let db = Db::empty().await;
    let table = format!(
        "{}; INSERT INTO bank.accounts VALUES (1, NULL, 0, 1)",
        replaced("text NOT NULL", "text")
    );
    let found = problems::<Account>(&db, &table).await;
    assert!(
        found[0].starts_with("a row can't be read: ") && found[0].contains("owner"),
        "{found:?}"
    );
}

#[tokio::test]
async fn an_id_is_generated_by_the_table_if_and_only_if_the_row_type_says_so() {
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Generated {
        id: i64,
        owner: String,
        version: Version,
    }
    versioned_row! { Generated in "bank.accounts" {
        entity: "account", id: id: i64 as generated, version: version, columns: [owner],
    } }
    let db = Db::empty().await;
    assert_eq!(
        problems::<Generated>(&db, ACCOUNTS).await,
        ["column id has no default that makes an id"]
    );
    let marked: &[&str] = &["column id is generated: mark the id `as generated`"];
    for (identity, expected) in [
        ("GENERATED ALWAYS", marked),
        ("GENERATED BY DEFAULT", &NO_PROBLEM),
    ] {
        let table = replaced(
            "PRIMARY KEY",
            &format!("{identity} AS IDENTITY PRIMARY KEY"),
        );
        assert_eq!(problems::<Generated>(&db, &table).await, NO_PROBLEM);
        assert_eq!(problems::<Account>(&db, &table).await, expected);
    }
}

/// A rule beside a write is not allowed in a statement that asserts what it wrote.
#[tokio::test]
async fn a_rule_on_the_table_is_reported() {
    let db = Db::empty().await;
    for (event, what) in [
        ("UPDATE", "writes"),
        ("DELETE", "deletes"),
        ("INSERT", "inserts many rows"),
    ] {
        let table = format!(
            "{ACCOUNTS};
             CREATE RULE log AS ON {event} TO bank.accounts DO ALSO NOTIFY accounts"
        );
        let refused = problems::<Account>(&db, &table).await;
        let expected = format!("the statement that {what} is refused: ");
        assert!(refused[0].starts_with(&expected), "{refused:?}");
    }
}

/// An update casts the value to the column's type, and an upsert does not.
#[tokio::test]
async fn an_expression_of_another_type_than_its_column_is_reported() {
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Cast {
        id: i64,
        owner: String,
        seen: String,
        version: Version,
    }
    versioned_row! { Cast in "bank.accounts" {
        entity: "account", id: id: i64, version: version, columns: [owner],
        on_update: [seen: "now()::text"],
    } }
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Uncast {
        id: i64,
        owner: String,
        seen: String,
        version: Version,
    }
    versioned_row! { Uncast in "bank.accounts" {
        entity: "account", id: id: i64, version: version, columns: [owner],
        on_update: [seen: "now()"],
    } }
    let db = Db::empty().await;
    let table = format!("{ACCOUNTS}; ALTER TABLE bank.accounts ADD seen text NOT NULL DEFAULT ''");
    assert_eq!(problems::<Cast>(&db, &table).await, NO_PROBLEM);
    let refused = problems::<Uncast>(&db, &table).await;
    let expected = "the statement that upserts is refused: CASE types ";
    assert!(refused[0].starts_with(expected), "{refused:?}");
}

#[tokio::test]
async fn a_deferrable_key_is_reported() {
    let db = Db::empty().await;
    let table = replaced("PRIMARY KEY", "PRIMARY KEY DEFERRABLE");
    let expected = "the unique index of the id is deferrable, and `insert_all` and `upsert` can't use it: make it \
        NOT DEFERRABLE, or promise `as unique`";
    assert_eq!(problems::<Account>(&db, &table).await, [expected]);
}
