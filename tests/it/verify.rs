//! Does the host's table fit? Everything that does not is named at once.

use optilock::{
    Version,
    postgres::{Error, PgRepository},
    sqlx::{self, AssertSqlSafe, Connection},
    versioned_row,
};

use crate::{
    bank::Account,
    db::{Db, with_role},
};

#[derive(Clone, Debug, sqlx::FromRow)]
struct Made {
    id: i64,
    owner: String,
    version: Version,
}

versioned_row! { Made in "bank.accounts" {
    entity: "account", id: id: i64 as generated, version: version, columns: [owner],
} }

/// With a condition over a column that is not there.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Odd {
    id: i64,
    owner: Option<String>,
    version: Version,
}

versioned_row! { Odd in "bank.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner], only: "NOT closed",
} }

async fn problems(db: &Db, table: &str, made: bool) -> Vec<String> {
    let create = format!("DROP SCHEMA IF EXISTS bank CASCADE; CREATE SCHEMA bank; {table}");
    sqlx::raw_sql(AssertSqlSafe(create))
        .execute(&db.pool)
        .await
        .unwrap();
    let mut conn = db.pool.acquire().await.unwrap();
    // The columns have other types than the last time.
    conn.clear_cached_statements().await.unwrap();
    let pool = db.pool.clone();
    let result = if made {
        PgRepository::<Made>::new(pool).verify_in(&mut conn).await
    } else {
        PgRepository::<Account>::new(pool)
            .verify_in(&mut conn)
            .await
    };
    match result {
        Ok(()) => Vec::new(),
        Err(Error::Unfit { table, problems }) => {
            assert_eq!(table, "bank.accounts");
            problems
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_fits_and_what_does_not() {
    let db = Db::empty().await;
    let fits = "CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL, version bigint NOT NULL)";
    let nothing: [&str; 0] = [];
    assert_eq!(problems(&db, fits, false).await, nothing);
    assert_eq!(
        problems(&db, "", false).await,
        ["there is none, or it is in a schema that is neither named nor searched"]
    );

    // A word of the table, what it is replaced by, and what is said of it.
    let cases: [(&str, &str, &[&str]); 11] = [
        ("owner text", "owner varchar(9)", &[]),
        ("owner text NOT NULL", "owner text", &[]),
        (
            " PRIMARY KEY",
            " NOT NULL, UNIQUE (id) INCLUDE (owner)",
            &[],
        ),
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
            &["column version is INT4, the field is INT8"],
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
    for (found, instead, expected) in cases {
        assert!(fits.contains(found));
        let table = fits.replace(found, instead);
        assert_eq!(problems(&db, &table, false).await, expected, "{table}");
    }

    let view = format!(
        "{}; CREATE VIEW bank.accounts AS SELECT * FROM bank.t",
        fits.replace("bank.accounts", "bank.t")
    );
    assert_eq!(problems(&db, &view, false).await, ["it is not a table"]);

    let words =
        "CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text, version bigint NOT NULL)";
    let mut conn = db.pool.acquire().await.unwrap();
    problems(&db, words, false).await;
    conn.clear_cached_statements().await.unwrap();
    let odd = PgRepository::<Odd>::new(db.pool.clone())
        .verify_in(&mut conn)
        .await;
    assert_eq!(
        odd.unwrap_err().to_string(),
        "table bank.accounts doesn't fit: the statement that reads is refused: column \"closed\" does not exist"
    );
    drop(conn);

    let null = format!(
        "{}; INSERT INTO bank.accounts VALUES (1, NULL, 0, 1)",
        fits.replace("text NOT NULL", "text")
    );
    let null = problems(&db, &null, false).await;
    assert!(
        null[0].starts_with("a row can't be read: ") && null[0].contains("owner"),
        "{null:?}"
    );

    assert_eq!(
        problems(&db, fits, true).await,
        ["column id has no default that makes an id"]
    );
    for identity in ["GENERATED ALWAYS", "GENERATED BY DEFAULT"] {
        let table = fits.replace(
            "PRIMARY KEY",
            &format!("{identity} AS IDENTITY PRIMARY KEY"),
        );
        assert_eq!(problems(&db, &table, true).await, nothing);
        let given = problems(&db, &table, false).await;
        let always = ["column id is generated: mark the id `as generated`"];
        assert_eq!(
            given,
            if identity == "GENERATED ALWAYS" {
                &always[..]
            } else {
                &[]
            }
        );
    }
}

#[tokio::test]
async fn what_the_role_may_not_do() {
    let db = Db::empty().await;
    let fits = "CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL, version bigint NOT NULL)";
    problems(&db, fits, false).await;
    with_role(&db.pool, async |role| {
        let mut conn = db.pool.acquire().await.unwrap();
        let accounts = PgRepository::<Account>::new(db.pool.clone());
        // Column by column is enough, and without the schema nothing can be seen.
        for (change, problem) in [
            (
                format!(
                    "GRANT USAGE ON SCHEMA bank TO {role}; GRANT SELECT ON bank.accounts TO {role}"
                ),
                Some(
                    "table bank.accounts doesn't fit: this role may not UPDATE column version; \
                     this role may not UPDATE column owner; this role may not UPDATE column cents",
                ),
            ),
            (
                format!("GRANT UPDATE (owner, cents, version) ON bank.accounts TO {role}"),
                None,
            ),
            (
                format!("REVOKE USAGE ON SCHEMA bank FROM {role}"),
                Some("table bank.accounts doesn't fit: this role may not USE its schema"),
            ),
        ] {
            let change = format!("{change}; SET ROLE {role}");
            sqlx::raw_sql(AssertSqlSafe(change))
                .execute(&mut *conn)
                .await
                .unwrap();
            let verified = accounts.verify_in(&mut conn).await;
            sqlx::raw_sql("RESET ROLE")
                .execute(&mut *conn)
                .await
                .unwrap();
            let refused = verified.err().map(|refused| refused.to_string());
            assert_eq!(refused.as_deref(), problem);
        }
    })
    .await;
}

/// A table that is partitioned by something else can't keep its ids unique; the host may say that
/// they are.
#[tokio::test]
async fn an_id_without_an_index_of_its_own() {
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Promised {
        id: i64,
        owner: String,
        version: Version,
    }
    versioned_row! { Promised in "bank.accounts" {
        entity: "account", id: id: i64 as unique as generated, version: version, columns: [owner],
    } }
    let db = Db::empty().await;
    let table = "CREATE TABLE bank.accounts (id bigint DEFAULT 1, owner text, cents bigint, version bigint NOT NULL,
            PRIMARY KEY (id, owner)) PARTITION BY LIST (owner);
        CREATE TABLE bank.north PARTITION OF bank.accounts FOR VALUES IN ('north')";
    let refused = problems(&db, table, false).await;
    assert_eq!(refused, ["the id has no unique index of its own"]);
    let promised = PgRepository::<Promised>::new(db.pool.clone());
    promised.verify().await.unwrap();
    let (id, owner, version) = (9, "north".to_owned(), Version::FIRST);
    let made = promised
        .insert(&Promised { id, owner, version })
        .await
        .unwrap();
    assert_eq!(made.id, 1);
    match promised.insert(&made).await {
        Err(Error::AlreadyExists { id, .. }) => assert_eq!(id, "(new)"),
        other => panic!("{other:?}"),
    }
    // And what verify prepared is what is sent.
    assert_eq!(promised.update(&made).await.unwrap().version.get(), 2);
}

/// The statement that `verify` prepares is the one that is used afterwards: with the types of Rust,
/// not with those that the server would guess.
#[tokio::test]
async fn what_was_verified_can_be_written() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Post {
        id: i64,
        tags: Vec<String>,
        version: Version,
    }
    versioned_row! { Post in "public.posts" {
        entity: "post", id: id: i64, version: version, columns: [tags as array],
    } }
    let db = Db::empty_with(crate::db::Default::ReadCommitted, 1).await;
    let table = "CREATE TABLE public.posts (id bigint PRIMARY KEY, tags varchar[] NOT NULL, version bigint NOT NULL)";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let posts = PgRepository::<Post>::new(db.pool.clone());
    posts.verify().await.unwrap();
    let (id, tags, version) = (1, vec!["clay".to_owned()], Version::FIRST);
    let post = posts.insert(&Post { id, tags, version }).await.unwrap();
    let post = posts.update(&post).await.unwrap();
    let verdicts = posts.update_all(std::slice::from_ref(&post), optilock::postgres::Bulk::Each);
    assert!(verdicts.await.unwrap()[0].is_written());
}
