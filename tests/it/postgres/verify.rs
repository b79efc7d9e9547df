//! Does the host's table fit? Everything that does not is named at once.

use std::{fmt, future::Future, task::Poll};

use optilock::{
    Version,
    postgres::{Error, PgRepository, PgVersioned},
    sqlx::{
        self, AssertSqlSafe, Connection, PgConnection, Postgres,
        encode::IsNull,
        error::BoxDynError,
        postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef},
    },
    versioned_row,
};

use crate::{
    support::bank::{Account, Bank, PLACES, everywhere},
    support::db::{Db, assert_quiet, with_role},
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
    let create = format!(
        "DROP SCHEMA IF EXISTS bank CASCADE; CREATE SCHEMA bank; CREATE TABLE bank.parent (id bigint); {table}"
    );
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
        Err(Error::SchemaMismatch { table, problems }) => {
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
    let cases: [(&str, &str, &[&str]); 16] = [
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
            "version bigint NOT NULL",
            "version bigint NOT NULL DEFAULT length('')",
            &[],
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
            "version bigint NOT NULL)",
            "version bigint NOT NULL) INHERITS (bank.parent)",
            &[],
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
                    "table bank.accounts doesn't fit: this role may not DELETE from it; \
                     this role may not INSERT column id; \
                     this role may not INSERT or UPDATE column version; \
                     this role may not INSERT or UPDATE column owner; \
                     this role may not INSERT or UPDATE column cents",
                ),
            ),
            (
                format!("GRANT INSERT (id, owner, version), UPDATE (owner, cents, version) ON bank.accounts TO {role}"),
                Some(
                    "table bank.accounts doesn't fit: this role may not DELETE from it; \
                     this role may not INSERT column cents",
                ),
            ),
            (
                format!("GRANT INSERT (cents) ON bank.accounts TO {role}; GRANT DELETE ON bank.accounts TO {role}"),
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
    let db = Db::empty_with(crate::support::db::Default::ReadCommitted, 1).await;
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

/// What is wrong with the table of `T`, as its one problem.
async fn problem<T: PgVersioned>(
    conn: &mut PgConnection,
    rows: &PgRepository<T>,
) -> Option<String> {
    match rows.verify_in(conn).await {
        Ok(()) => None,
        Err(Error::SchemaMismatch { problems, .. }) => Some(problems.join("; ")),
        Err(other) => panic!("{other:?}"),
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct User {
    name: String,
    version: Version,
}

versioned_row! { User in "bank.users" {
    entity: "user", id: name: String, version: version, columns: [],
} }

/// The type of a `citext` column, in Rust.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "citext")]
struct Login(String);

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Member {
    name: Login,
    version: Version,
}

versioned_row! { Member in "bank.users" {
    entity: "member", id: name: Login, version: version, columns: [],
} }

/// Where `=` compares both as text, no index is of use, and a `char(n)` does not even equal what was
/// read of it.
#[tokio::test]
async fn an_id_that_no_index_finds() {
    let db = Db::empty_with(crate::support::db::Default::ReadCommitted, 1).await;
    let users = PgRepository::<User>::new(db.pool.clone());
    let members = PgRepository::<Member>::new(db.pool.clone());
    let mut conn = db.pool.acquire().await.unwrap();
    let setup =
        "CREATE SCHEMA bank; CREATE EXTENSION citext SCHEMA public; SET search_path = public";
    sqlx::raw_sql(setup).execute(&mut *conn).await.unwrap();
    let differs = |column: &str| {
        format!(
            "no index finds column name: it is {column}, and the field is TEXT; change the column's \
             type to TEXT, or have the field's be {column}"
        )
    };
    for rows in ["", "INSERT INTO bank.users VALUES ('Ana', 1)"] {
        for (column, expected) in [
            ("text", None),
            ("varchar(9)", None),
            ("text COLLATE \"C\"", None),
            ("bank.short", None),
            ("char(5)", Some(differs("CHAR"))),
            ("citext", Some(differs("citext"))),
        ] {
            let table = format!(
                "DROP TABLE IF EXISTS bank.users; DROP DOMAIN IF EXISTS bank.short;
                 CREATE DOMAIN bank.short AS varchar(5) CHECK (VALUE <> '');
                 CREATE TABLE bank.users (name {column} PRIMARY KEY, version bigint NOT NULL); {rows}"
            );
            sqlx::raw_sql(AssertSqlSafe(table))
                .execute(&mut *conn)
                .await
                .unwrap();
            conn.clear_cached_statements().await.unwrap();
            assert_eq!(
                problem(&mut conn, &users).await,
                expected,
                "{column} {rows}"
            );
        }
        // The last one, by its own type.
        assert_eq!(problem(&mut conn, &members).await, None);
        sqlx::raw_sql("SET search_path = ''")
            .execute(&mut *conn)
            .await
            .unwrap();
        conn.clear_cached_statements().await.unwrap();
        assert_eq!(
            problem(&mut conn, &members).await.unwrap(),
            "there is no type citext, or it is in a schema that is neither named nor searched"
        );
        sqlx::raw_sql("SET search_path = public")
            .execute(&mut *conn)
            .await
            .unwrap();
        conn.clear_cached_statements().await.unwrap();
    }
    // And in use.
    let ana = members
        .get_in(&mut conn, &Login("ANA".to_owned()))
        .await
        .unwrap();
    members.update_in(&mut conn, &ana).await.unwrap();
}

/// Ids of types of the host's own are compared by what they are.
#[tokio::test]
async fn ids_of_other_types() {
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, sqlx::Type)]
    #[sqlx(type_name = "bank.region", rename_all = "lowercase")]
    enum Region {
        North,
    }
    impl fmt::Display for Region {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(self, f)
        }
    }
    macro_rules! fits {
        ($conn:expr, $db:expr, $id:ty, $columns:literal, $value:expr) => {{
            #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
            struct Thing {
                id: $id,
                version: Version,
            }
            versioned_row! { Thing in "bank.things" {
                entity: "thing", id: id: $id as unique, version: version, columns: [],
            } }
            let table = concat!(
                "DROP TABLE IF EXISTS bank.things; CREATE TABLE bank.things ",
                $columns
            );
            sqlx::raw_sql(table).execute(&mut *$conn).await.unwrap();
            $conn.clear_cached_statements().await.unwrap();
            let things = PgRepository::<Thing>::new($db.pool.clone());
            assert_eq!(problem($conn, &things).await, None, $columns);
            let thing = Thing {
                id: $value,
                version: Version::FIRST,
            };
            if !$columns.ends_with("PARTITION BY HASH (id)") {
                let thing = things.insert_in($conn, &thing).await.unwrap();
                assert_eq!(problem($conn, &things).await, None, $columns);
                things.update_in($conn, &thing).await.unwrap();
            }
        }};
    }
    let db = Db::empty_with(crate::support::db::Default::ReadCommitted, 1).await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let setup = "CREATE SCHEMA bank; CREATE TYPE bank.region AS ENUM ('north');
        CREATE DOMAIN bank.number AS bigint CHECK (VALUE > 0)";
    sqlx::raw_sql(setup).execute(&mut *conn).await.unwrap();
    fits!(
        conn,
        db,
        Region,
        "(id bank.region PRIMARY KEY, version bigint NOT NULL)",
        Region::North
    );
    fits!(
        conn,
        db,
        i64,
        "(id bank.number PRIMARY KEY, version bigint NOT NULL)",
        7
    );
    fits!(
        conn,
        db,
        i16,
        "(id smallint PRIMARY KEY, version bigint NOT NULL)",
        7
    );
    fits!(
        conn,
        db,
        uuid::Uuid,
        "(id uuid PRIMARY KEY, version bigint NOT NULL)",
        uuid::Uuid::from_u128(7)
    );
    fits!(
        conn,
        db,
        i64,
        "(id bigint PRIMARY KEY, version bigint NOT NULL) PARTITION BY HASH (id)",
        7
    );
    fits!(
        conn, db, i64,
        "(id bigint, other text DEFAULT 'a', version bigint NOT NULL, PRIMARY KEY (id, other)) PARTITION BY LIST (other);
         CREATE TABLE bank.a PARTITION OF bank.things FOR VALUES IN ('a');
         CREATE TABLE bank.b PARTITION OF bank.things FOR VALUES IN ('b')",
        7
    );
    // An index by hash has no order, and finds it.
    fits!(
        conn,
        db,
        i64,
        "(id bigint, version bigint NOT NULL); CREATE INDEX ON bank.things USING hash (id)",
        7
    );
}

/// The index is there, and unique, and of no use.
#[tokio::test]
async fn an_index_of_another_collation() {
    let db = Db::empty_with(crate::support::db::Default::ReadCommitted, 1).await;
    let table =
        "CREATE SCHEMA bank; CREATE TABLE bank.users (name text NOT NULL, version bigint NOT NULL);
        CREATE UNIQUE INDEX ON bank.users (name COLLATE \"C\")";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let users = PgRepository::<User>::new(db.pool.clone());
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(
        problem(&mut conn, &users).await.unwrap(),
        "no index finds column name: its index has another collation than the column, or search_path \
         lacks the operators of its type"
    );
}

/// Beneath a policy a comparison that is not `LEAKPROOF`, as that of a `citext`, reads all rows: that
/// is no mistake in the table.
#[tokio::test]
async fn an_index_that_a_policy_keeps_from_being_used() {
    let db = Db::empty_with(crate::support::db::Default::ReadCommitted, 1).await;
    let mut conn = db.pool.acquire().await.unwrap();
    let table =
        "CREATE SCHEMA bank; CREATE EXTENSION citext SCHEMA public; SET search_path = public;
        CREATE TABLE bank.users (name citext PRIMARY KEY, version bigint NOT NULL);
        ALTER TABLE bank.users ENABLE ROW LEVEL SECURITY;
        CREATE POLICY all_of_them ON bank.users USING (version > 0)";
    sqlx::raw_sql(table).execute(&mut *conn).await.unwrap();
    let members = PgRepository::<Member>::new(db.pool.clone());
    drop(conn);
    with_role(&db.pool, async |role| {
        let mut conn = db.pool.acquire().await.unwrap();
        let become_role = format!(
            "GRANT USAGE ON SCHEMA bank TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON bank.users TO {role}; SET ROLE {role}"
        );
        sqlx::raw_sql(AssertSqlSafe(become_role))
            .execute(&mut *conn)
            .await
            .unwrap();
        assert_eq!(problem(&mut conn, &members).await, None);
        sqlx::raw_sql("RESET ROLE")
            .execute(&mut *conn)
            .await
            .unwrap();
    })
    .await;
}

/// Ids that are promised to be unique may have no index at all.
#[tokio::test]
async fn a_promised_id_without_an_index() {
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Promised {
        id: i64,
        version: Version,
    }
    versioned_row! { Promised in "bank.accounts" {
        entity: "account", id: id: i64 as unique, version: version, columns: [],
    } }
    let db = Db::empty().await;
    let table = "CREATE SCHEMA bank; CREATE TABLE bank.accounts (id bigint, tenant bigint, version bigint NOT NULL);
        CREATE INDEX ON bank.accounts (tenant, id); CREATE TABLE bank.child () INHERITS (bank.accounts)";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let promised = PgRepository::<Promised>::new(db.pool.clone());
    let mut conn = db.pool.acquire().await.unwrap();
    let index = "CREATE INDEX ON bank.accounts (id); CREATE INDEX ON bank.child (id)";
    let lost = problem(&mut conn, &promised).await.unwrap();
    assert!(lost.starts_with("the id begins no index"), "{lost}");
    sqlx::raw_sql(index).execute(&mut *conn).await.unwrap();
    assert_eq!(problem(&mut conn, &promised).await, None);
}

/// A type that sends something else than it has read.
#[tokio::test]
async fn a_row_that_its_own_id_does_not_find() {
    #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    struct Lowercase(String);

    impl fmt::Display for Lowercase {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }
    impl sqlx::Type<Postgres> for Lowercase {
        fn type_info() -> PgTypeInfo {
            <String as sqlx::Type<Postgres>>::type_info()
        }
    }
    impl PgHasArrayType for Lowercase {
        fn array_type_info() -> PgTypeInfo {
            <String as PgHasArrayType>::array_type_info()
        }
    }
    impl sqlx::Encode<'_, Postgres> for Lowercase {
        fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
            sqlx::Encode::<Postgres>::encode_by_ref(&self.0.to_lowercase(), buffer)
        }
    }
    impl sqlx::Decode<'_, Postgres> for Lowercase {
        fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
            sqlx::Decode::<Postgres>::decode(value).map(Self)
        }
    }

    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Odd {
        name: Lowercase,
        version: Version,
    }
    versioned_row! { Odd in "bank.users" {
        entity: "user", id: name: Lowercase, version: version, columns: [],
    } }
    let db = Db::empty().await;
    let table = "CREATE SCHEMA bank; CREATE TABLE bank.users (name text PRIMARY KEY, version bigint NOT NULL);
        INSERT INTO bank.users VALUES ('Ana', 1)";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let odd = PgRepository::<Odd>::new(db.pool.clone());
    let mut conn = db.pool.acquire().await.unwrap();
    assert_eq!(
        problem(&mut conn, &odd).await.unwrap(),
        "the row with id Ana is not found by that id: the field's type must send what it read"
    );
    sqlx::raw_sql("UPDATE bank.users SET name = 'ana'")
        .execute(&mut *conn)
        .await
        .unwrap();
    assert_eq!(problem(&mut conn, &odd).await, None);
}

/// Neither a setting nor a lock stays behind, in a transaction or outside; and it goes on afterwards.
#[tokio::test]
async fn verify_leaves_nothing_behind() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let settings = "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings
            WHERE name IN ('enable_seqscan', 'enable_indexscan', 'enable_bitmapscan')";
        let mut transaction = bank.pool.begin().await.unwrap();
        let before: String = sqlx::query_scalar(settings)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        bank.accounts
            .update_in(&mut transaction, &read.plus(5))
            .await
            .unwrap();
        bank.accounts.verify_in(&mut transaction).await.unwrap();
        let after: String = sqlx::query_scalar(settings)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(before, after);
        transaction.commit().await.unwrap();
        let current = bank.accounts.get(&1).await.unwrap();
        assert_eq!((current.cents, current.version.get()), (105, 2));

        bank.accounts.verify().await.unwrap();
        let mut held = bank.pool.begin().await.unwrap();
        bank.accounts.lock_in(&mut held, &1).await.unwrap();
        // Beside a lock, and on a server that takes no writes.
        let mut conn = bank.pool.acquire().await.unwrap();
        sqlx::raw_sql("SET default_transaction_read_only = on")
            .execute(&mut *conn)
            .await
            .unwrap();
        bank.accounts.verify_in(&mut conn).await.unwrap();
        sqlx::raw_sql("RESET default_transaction_read_only")
            .execute(&mut *conn)
            .await
            .unwrap();
        held.rollback().await.unwrap();
        drop(conn);
        assert_quiet(&bank.pool).await;
    })
    .await;
}

/// A rule beside a write can't stand in a statement that asserts what it wrote.
#[tokio::test]
async fn a_rule_is_refused_by_name() {
    let db = Db::empty().await;
    for (event, what) in [("UPDATE", "writes"), ("DELETE", "deletes")] {
        let table = format!(
            "CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL, version bigint NOT NULL);
             CREATE RULE log AS ON {event} TO bank.accounts DO ALSO NOTIFY accounts"
        );
        let refused = problems(&db, &table, false).await;
        let expected = format!("the statement that {what} is refused: ");
        assert!(refused[0].starts_with(&expected), "{refused:?}");
    }
}

/// Dropped after every poll, in a transaction of the caller's: that goes on as the same transaction, with
/// the same settings.
#[tokio::test]
async fn verify_that_is_dropped_leaves_the_transaction_as_it_was() {
    let bank = Bank::open(PLACES[0]).await;
    bank.account(1, 0).await;
    let settings = "SELECT current_setting('enable_seqscan') || pg_current_xact_id()::text";
    for polls in 1_u32.. {
        assert!(polls < 200, "it never ends");
        let mut transaction = bank.pool.begin().await.unwrap();
        let read = bank.accounts.get_in(&mut transaction, &1).await.unwrap();
        let before: String = sqlx::query_scalar(settings)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        let ended = {
            let mut verify = std::pin::pin!(bank.accounts.verify_in(&mut transaction));
            let mut left = polls;
            std::future::poll_fn(|context| {
                if verify.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                left -= 1;
                if left == 0 {
                    Poll::Ready(false)
                } else {
                    Poll::Pending
                }
            })
            .await
        };
        let after: String = sqlx::query_scalar(settings)
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(before, after, "after {polls} polls");
        let mine = read.plus(1);
        let written = bank.accounts.update_in(&mut transaction, &mine);
        let written = written.await.unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(bank.accounts.get(&1).await.unwrap(), written);
        if ended {
            break;
        }
    }
    assert_quiet(&bank.pool).await;
}
