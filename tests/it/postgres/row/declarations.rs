//! Generated ids, hidden rows and unusual names in the description of a row.

use optilock::{
    Version,
    postgres::{Bulk, PgRepository, WriteOutcome},
    sqlx, versioned_row,
};

use crate::support::db::Db;

/// The database generates the id, and the id of the inserted value is ignored.
#[tokio::test]
async fn a_generated_id_is_returned() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Ticket {
        id: i32,
        seat: String,
        version: Version,
    }
    versioned_row! { Ticket in "public.tickets" {
        entity: "ticket", id: id: i32 as generated, version: version, columns: [seat],
    } }
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.tickets (id int GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY,
             seat text NOT NULL, version bigint NOT NULL)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let tickets = PgRepository::<Ticket>::new(db.pool.clone());
    tickets.verify().await.unwrap();
    let (id, seat, version) = (0, "1A".to_owned(), Version::FIRST);
    let new = Ticket { id, seat, version };
    let ids = [
        tickets.insert(&new).await.unwrap().id,
        tickets.insert(&new).await.unwrap().id,
    ];
    assert_eq!(ids, [7, 8]);
    let seventh = tickets.get(&7).await.unwrap();
    assert_eq!(tickets.update(&seventh).await.unwrap().version.get(), 2);
}

/// No operation finds rows that `only` hides. Expressions of `on_update` refer to the columns of the row, in
/// bulk writes as well.
#[tokio::test]
async fn softly_deleted_rows_are_not_found() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Note {
        id: i64,
        text: String,
        ord: i64,
        expected: bool,
        deleted: bool,
        version: Version,
    }
    versioned_row! { Note in "public.notes" {
        entity: "note", id: id: i64, version: version, columns: [text, deleted],
        on_update: [ord: "ord + id -- its own", expected: "NOT expected"],
        only: "NOT deleted AND id = id -- the row's",
    } }
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.notes (id bigint PRIMARY KEY, text text NOT NULL, ord bigint NOT NULL DEFAULT 0,
             expected boolean NOT NULL DEFAULT false, deleted boolean NOT NULL, version bigint NOT NULL);
         INSERT INTO public.notes VALUES (1, '', 0, false, false, 1), (2, '', 0, false, true, 1)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let notes = PgRepository::<Note>::new(db.pool.clone());
    notes.verify().await.unwrap();
    let first = notes.get(&1).await.unwrap();
    let hidden = Note {
        id: 2,
        ..first.clone()
    };
    assert_eq!(notes.find(&2).await.unwrap(), None);
    let mut conn = db.pool.acquire().await.unwrap();
    for refused in [
        notes.update(&hidden).await.map(drop),
        notes.touch(&2, Version::FIRST).await.map(drop),
        notes.delete(&2, Version::FIRST).await,
        notes.lock_in(&mut conn, &2).await.map(drop),
        notes.assert_current_in(&mut conn, &2, Version::FIRST).await,
    ] {
        assert!(refused.unwrap_err().is_not_found());
    }
    let outcomes = notes
        .update_all(&[hidden, first.clone()], Bulk::Each)
        .await
        .unwrap();
    let second = Version::FIRST.next().unwrap();
    let written = Note {
        ord: 1,
        expected: true,
        version: second,
        ..first.clone()
    };
    assert_eq!(
        outcomes,
        [
            WriteOutcome::NotFound,
            WriteOutcome::Written(written.clone())
        ]
    );
    // The write that hides a row returns it.
    let deleted = notes
        .update(&Note {
            deleted: true,
            ..written
        })
        .await
        .unwrap();
    assert_eq!((deleted.deleted, deleted.ord), (true, 2));
    assert_eq!(notes.find(&1).await.unwrap(), None);
}

/// The macro uses no short name to which a host can give another meaning.
#[no_implicit_prelude]
mod without_a_prelude {
    #[derive(::std::fmt::Debug, ::sqlx::FromRow)]
    pub(super) struct Kind {
        pub(super) id: i64,
        pub(super) r#type: ::std::string::String,
        pub(super) r#in: ::std::vec::Vec<i64>,
        pub(super) version: ::optilock::Version,
    }

    ::optilock::versioned_row! { Kind in "public.kinds" {
        entity: "kind", id: id: i64, version: version, columns: [r#type, r#in as array],
    } }
}

#[tokio::test]
async fn raw_identifiers_compile_without_a_prelude() {
    let db = Db::empty().await;
    sqlx::raw_sql(
        "CREATE TABLE public.kinds (id bigint PRIMARY KEY, type text, \"in\" bigint[], version bigint NOT NULL);
         INSERT INTO public.kinds VALUES (1, 'pot', '{7}', 1)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let kinds = PgRepository::<without_a_prelude::Kind>::new(db.pool.clone());
    kinds.verify().await.unwrap();
    let mut kind = kinds.get(&1).await.unwrap();
    "mug".clone_into(&mut kind.r#type);
    let kind = kinds.update(&kind).await.unwrap();
    let outcomes = kinds.update_all(&[kind], Bulk::Each).await.unwrap();
    let kind = outcomes
        .into_iter()
        .next()
        .and_then(WriteOutcome::into_row)
        .unwrap();
    assert_eq!(
        (&*kind.r#type, &*kind.r#in, kind.version.get()),
        ("mug", &[7][..], 3)
    );
}

/// A generic struct is described by the name of one of its types.
#[tokio::test]
async fn an_alias_of_a_generic_struct_is_described() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Setting<V> {
        name: String,
        value: V,
        version: Version,
    }
    type Number = Setting<i64>;
    versioned_row! { Number in "public.numbers" {
        entity: "number", id: name: String, version: version, columns: [value],
    } }
    let db = Db::empty().await;
    let table = "CREATE TABLE public.numbers (name text PRIMARY KEY, value bigint, version bigint NOT NULL)";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let numbers = PgRepository::<Number>::new(db.pool.clone());
    numbers.verify().await.unwrap();
    let (name, value, version) = ("answer".to_owned(), 42, Version::FIRST);
    let inserted = numbers
        .insert(&Setting {
            name,
            value,
            version,
        })
        .await;
    let inserted = inserted.unwrap();
    assert_eq!(numbers.update(&inserted).await.unwrap().value, 42);
}
