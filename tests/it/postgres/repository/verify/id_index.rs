//! The index that finds a row by its id.

use optilock::{
    Version,
    postgres::{ErrorKind, PgRepository},
    sqlx, versioned_row,
};

use super::{Member, User, problem, problems, run, single_connection};
use crate::support::{
    bank::Account,
    db::{Db, with_role},
};

/// A table that is partitioned by another column cannot keep its ids unique; the host may promise that
/// they are.
#[tokio::test]
async fn an_id_without_a_unique_index_is_reported_unless_promised_unique() {
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
    let refused = problems::<Account>(&db, table).await;
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
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            assert_eq!(error.id(), Some("(new)"));
        }
        other => panic!("{other:?}"),
    }
    // The statements that were prepared by the verification are sent by an update.
    assert_eq!(promised.update(&made).await.unwrap().version.get(), 2);
}

/// The index exists and is unique, and no comparison of the id can use it.
#[tokio::test]
async fn an_index_of_another_collation_is_reported() {
    let db = single_connection().await;
    let table =
        "CREATE SCHEMA bank; CREATE TABLE bank.users (name text NOT NULL, version bigint NOT NULL);
        CREATE UNIQUE INDEX ON bank.users (name COLLATE \"C\")";
    let mut conn = db.pool.acquire().await.unwrap();
    run(&mut conn, table).await;
    let users = PgRepository::<User>::new(db.pool.clone());
    assert_eq!(
        problem(&mut conn, &users).await.unwrap(),
        "no index finds column name: its index has another collation than the column, or search_path \
         lacks the operators of its type"
    );
}

/// Under a policy a comparison that is not `LEAKPROOF`, such as that of `citext`, reads all rows. The
/// table itself fits.
#[tokio::test]
async fn an_index_disabled_by_a_policy_is_accepted() {
    let db = single_connection().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let table =
        "CREATE SCHEMA bank; CREATE EXTENSION citext SCHEMA public; SET search_path = public;
        CREATE TABLE bank.users (name citext PRIMARY KEY, version bigint NOT NULL);
        ALTER TABLE bank.users ENABLE ROW LEVEL SECURITY;
        CREATE POLICY all_of_them ON bank.users USING (version > 0)";
    run(&mut conn, table).await;
    let members = PgRepository::<Member>::new(db.pool.clone());
    drop(conn);
    with_role(&db.pool, async |role| {
        let mut conn = db.pool.acquire().await.unwrap();
        let become_role = format!(
            "GRANT USAGE ON SCHEMA bank TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON bank.users TO {role}; SET ROLE {role}"
        );
        run(&mut conn, become_role).await;
        assert_eq!(problem(&mut conn, &members).await, None);
        run(&mut conn, "RESET ROLE").await;
    })
    .await;
}

/// An id that is promised to be unique may have no index at all.
#[tokio::test]
async fn a_promised_id_without_an_index_is_reported() {
    #[derive(Clone, Debug, sqlx::FromRow)]
    struct Promised {
        id: i64,
        version: Version,
    }
    versioned_row! { Promised in "bank.accounts" {
        entity: "account", id: id: i64 as unique, version: version, columns: [],
    } }
    let db = Db::empty().await;
    let mut conn = db.pool.acquire().await.unwrap();
    let table = "CREATE SCHEMA bank; CREATE TABLE bank.accounts (id bigint, tenant bigint, version bigint NOT NULL);
        CREATE INDEX ON bank.accounts (tenant, id); CREATE TABLE bank.child () INHERITS (bank.accounts)";
    run(&mut conn, table).await;
    let promised = PgRepository::<Promised>::new(db.pool.clone());
    let found = problem(&mut conn, &promised).await.unwrap();
    assert!(found.starts_with("the id begins no index"), "{found}");
    let index = "CREATE INDEX ON bank.accounts (id); CREATE INDEX ON bank.child (id)";
    run(&mut conn, index).await;
    assert_eq!(problem(&mut conn, &promised).await, None);
}
