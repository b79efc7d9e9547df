//! The type of the id in the row type and in the table.

use std::fmt;

use optilock::{
    Version,
    postgres::PgRepository,
    sqlx::{
        self, Postgres,
        encode::IsNull,
        error::BoxDynError,
        postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef},
    },
    versioned_row,
};
use uuid::Uuid;

use super::{Login, Member, User, change, problem, run, single_connection};
use crate::support::db::Db;

/// If `=` compares column and field as text, no index serves it, and a `char(n)` does not even equal the
/// value that was read from it.
#[tokio::test]
async fn an_id_type_that_no_index_serves_is_reported() {
    let db = single_connection().await;
    let users = PgRepository::<User>::new(db.pool.clone());
    let members = PgRepository::<Member>::new(db.pool.clone());
    let mut conn = db.pool.acquire().await.unwrap();
    let setup =
        "CREATE SCHEMA bank; CREATE EXTENSION citext SCHEMA public; SET search_path = public";
    run(&mut conn, setup).await;
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
            change(&mut conn, table).await;
            let found = problem(&mut conn, &users).await;
            assert_eq!(found, expected, "{column} {rows}");
        }
        // A field of the type `citext` fits the last column.
        assert_eq!(problem(&mut conn, &members).await, None);
        change(&mut conn, "SET search_path = ''").await;
        assert_eq!(
            problem(&mut conn, &members).await.unwrap(),
            "there is no type citext, or it is in a schema that is neither named nor searched"
        );
        change(&mut conn, "SET search_path = public").await;
    }
    let ana = members
        .get_in(&mut conn, &Login("ANA".to_owned()))
        .await
        .unwrap();
    members.update_in(&mut conn, &ana).await.unwrap();
}

/// An enum of the database, in Rust.
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

/// Verifies a table with these columns against a row type with this type of id, empty and with a row.
macro_rules! assert_fits {
    ($db:expr, $conn:expr, $id:ty, $value:expr, $columns:literal) => {{
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
        change($conn, table).await;
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

/// Ids of host types are compared as values of their own type.
#[tokio::test]
async fn ids_of_host_types_are_found_by_their_index() {
    let db = single_connection().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    let setup = "CREATE SCHEMA bank; CREATE TYPE bank.region AS ENUM ('north');
        CREATE DOMAIN bank.number AS bigint CHECK (VALUE > 0)";
    run(conn, setup).await;
    assert_fits!(
        db,
        conn,
        Region,
        Region::North,
        "(id bank.region PRIMARY KEY, version bigint NOT NULL)"
    );
    assert_fits!(
        db,
        conn,
        i64,
        7,
        "(id bank.number PRIMARY KEY, version bigint NOT NULL)"
    );
    assert_fits!(
        db,
        conn,
        i16,
        7,
        "(id smallint PRIMARY KEY, version bigint NOT NULL)"
    );
    assert_fits!(
        db,
        conn,
        Uuid,
        Uuid::from_u128(7),
        "(id uuid PRIMARY KEY, version bigint NOT NULL)"
    );
}

#[tokio::test]
async fn ids_are_found_by_partitioned_and_hash_indexes() {
    let db = single_connection().await;
    let conn = &mut *db.pool.acquire().await.unwrap();
    run(conn, "CREATE SCHEMA bank").await;
    assert_fits!(
        db,
        conn,
        i64,
        7,
        "(id bigint PRIMARY KEY, version bigint NOT NULL) PARTITION BY HASH (id)"
    );
    assert_fits!(
        db, conn, i64, 7,
        "(id bigint, other text DEFAULT 'a', version bigint NOT NULL, PRIMARY KEY (id, other)) PARTITION BY LIST (other);
         CREATE TABLE bank.a PARTITION OF bank.things FOR VALUES IN ('a');
         CREATE TABLE bank.b PARTITION OF bank.things FOR VALUES IN ('b')"
    );
    // A hash index has no order, and finds the row.
    assert_fits!(
        db,
        conn,
        i64,
        7,
        "(id bigint, version bigint NOT NULL); CREATE INDEX ON bank.things USING hash (id)"
    );
}

/// A type that sends another value than it has read.
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
struct LowercaseUser {
    name: Lowercase,
    version: Version,
}

versioned_row! { LowercaseUser in "bank.users" {
    entity: "user", id: name: Lowercase, version: version, columns: [],
} }

#[tokio::test]
async fn a_row_not_found_by_its_own_id_is_reported() {
    let db = Db::empty().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let table = "CREATE SCHEMA bank; CREATE TABLE bank.users (name text PRIMARY KEY, version bigint NOT NULL);
        INSERT INTO bank.users VALUES ('Ana', 1)";
    run(&mut conn, table).await;
    let users = PgRepository::<LowercaseUser>::new(db.pool.clone());
    assert_eq!(
        problem(&mut conn, &users).await.unwrap(),
        "the row with id Ana is not found by that id: the field's type must send what it read"
    );
    run(&mut conn, "UPDATE bank.users SET name = 'ana'").await;
    assert_eq!(problem(&mut conn, &users).await, None);
}
