//! Columns of every kind, one row at a time and many at once.

use std::{collections::BTreeMap, fmt};

use optilock::{
    Version,
    postgres::{Bulk, PgRepository, WriteOutcome},
    sqlx::{self, PgPool, types::Json},
    versioned_row,
};
use uuid::Uuid;

use crate::support::db::Db;

/// A newtype as id, with a type of the database's own: `sku_text` is a domain over text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
struct Code(String);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "\"odd \"\"schema\"\"\".glaze", rename_all = "lowercase")]
enum Glaze {
    Ash,
    Celadon,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Kiln {
    #[sqlx(rename = "Code")]
    code: Code,
    name: Option<String>,
    glaze: Glaze,
    second_glaze: Option<Glaze>,
    tags: Vec<String>,
    readings: Option<Vec<Option<f64>>>,
    palette: Vec<Glaze>,
    settings: Json<BTreeMap<String, i32>>,
    notes: Option<Json<Vec<String>>>,
    photo: Vec<u8>,
    owner: Option<Uuid>,
    hot: bool,
    shelves: i16,
    #[sqlx(rename = "order")]
    order_: i32,
    #[sqlx(rename = "lock version")]
    version: Version,
    volume: i64,
    fired: i32,
    touched: String,
}

versioned_row! { Kiln in "odd \"schema\".Kilns" {
    entity: "kiln",
    id: code = "Code": Code,
    version: version = "lock version",
    columns: [
        name, glaze, second_glaze, tags as array, readings as array, palette as array, settings, notes,
        photo, owner, hot, shelves, order_ = "order",
    ],
    on_update: [fired: "fired + 1"],
    read_only: [volume, touched],
} }

async fn kilns(pool: &PgPool) -> PgRepository<Kiln> {
    sqlx::raw_sql(
        "CREATE SCHEMA \"odd \"\"schema\"\"\";
         CREATE TYPE \"odd \"\"schema\"\"\".glaze AS ENUM ('ash', 'celadon');
         CREATE DOMAIN \"odd \"\"schema\"\"\".code AS text CHECK (VALUE <> '');
         CREATE TABLE \"odd \"\"schema\"\"\".\"Kilns\" (
             \"Code\" \"odd \"\"schema\"\"\".code PRIMARY KEY,
             name varchar(40),
             glaze \"odd \"\"schema\"\"\".glaze NOT NULL,
             second_glaze \"odd \"\"schema\"\"\".glaze,
             tags text[] NOT NULL,
             readings float8[],
             palette \"odd \"\"schema\"\"\".glaze[] NOT NULL,
             settings jsonb NOT NULL,
             notes jsonb,
             photo bytea NOT NULL,
             owner uuid,
             hot boolean NOT NULL,
             shelves smallint NOT NULL,
             \"order\" int NOT NULL,
             \"lock version\" bigint NOT NULL,
             volume bigint GENERATED ALWAYS AS (shelves * 10) STORED,
             fired int NOT NULL DEFAULT 0,
             touched text NOT NULL DEFAULT 'inserted',
             unknown text DEFAULT 'left alone');
         CREATE FUNCTION \"odd \"\"schema\"\"\".touch() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN NEW.touched := ''by trigger''; RETURN NEW; END';
         CREATE TRIGGER touch BEFORE UPDATE ON \"odd \"\"schema\"\"\".\"Kilns\"
             FOR EACH ROW EXECUTE FUNCTION \"odd \"\"schema\"\"\".touch()",
    )
    .execute(pool)
    .await
    .unwrap();
    let kilns = PgRepository::new(pool.clone());
    kilns.verify().await.unwrap();
    kilns
}

fn full(code: &str) -> Kiln {
    Kiln {
        code: Code(code.to_owned()),
        name: Some("Doña Rosa's".to_owned()),
        glaze: Glaze::Ash,
        second_glaze: Some(Glaze::Celadon),
        tags: vec!["clay, \"{black}\"".to_owned(), String::new()],
        readings: Some(vec![Some(1.5), None, Some(-0.0)]),
        palette: vec![Glaze::Celadon, Glaze::Ash, Glaze::Celadon],
        settings: Json([("cone".to_owned(), 6)].into()),
        notes: Some(Json(vec!["wood".to_owned()])),
        photo: vec![0, 255, b'\\'],
        owner: Some(Uuid::from_u128(7)),
        hot: true,
        shelves: 3,
        order_: i32::MIN,
        version: Version::FIRST,
        volume: 0,
        fired: 0,
        touched: String::new(),
    }
}

/// As little as the table allows.
fn bare(code: &str) -> Kiln {
    Kiln {
        name: None,
        second_glaze: None,
        tags: Vec::new(),
        readings: None,
        palette: Vec::new(),
        settings: Json(BTreeMap::new()),
        notes: None,
        photo: Vec::new(),
        owner: None,
        hot: false,
        shelves: 0,
        order_: 0,
        ..full(code)
    }
}

/// What the database makes of a row that was inserted.
fn inserted(row: Kiln) -> Kiln {
    Kiln {
        volume: i64::from(row.shelves) * 10,
        touched: "inserted".to_owned(),
        ..row
    }
}

/// What it makes of one that was written at `version`.
fn written(row: Kiln, version: Version) -> Kiln {
    Kiln {
        version: version.next().unwrap(),
        fired: row.fired + 1,
        touched: "by trigger".to_owned(),
        ..inserted(row)
    }
}

#[tokio::test]
async fn every_type_one_at_a_time() {
    let db = Db::empty().await;
    let kilns = kilns(&db.pool).await;
    for (first, then) in [(full("a"), bare("a")), (bare("b"), full("b"))] {
        assert_eq!(kilns.insert(&first).await.unwrap(), inserted(first.clone()));
        let update = kilns.update(&then).await.unwrap();
        assert_eq!(update, written(then, Version::FIRST));
        assert_eq!(kilns.get(&first.code).await.unwrap(), update);
        kilns.touch(&first.code, update.version).await.unwrap();
        let touched = kilns.get(&first.code).await.unwrap();
        assert_eq!(touched, written(update.clone(), update.version));
    }
    let left_alone: Vec<String> =
        sqlx::query_scalar("SELECT unknown FROM \"odd \"\"schema\"\"\".\"Kilns\"")
            .fetch_all(&db.pool)
            .await
            .unwrap();
    assert_eq!(left_alone, ["left alone", "left alone"]);
}

#[tokio::test]
async fn every_type_many_at_once() {
    let db = Db::empty().await;
    let kilns = kilns(&db.pool).await;
    let codes = ["d", "a", "c", "b"];
    let mut rows = Vec::new();
    for code in codes {
        kilns.insert(&full(code)).await.unwrap();
        rows.push(bare(code));
    }
    rows[2] = full("c");
    rows[2].readings = Some(Vec::new());
    for mode in [Bulk::Each, Bulk::AllOrNothing] {
        let verdicts = kilns.update_all(&rows, mode).await.unwrap();
        let expected: Vec<Kiln> = rows
            .iter()
            .map(|row| written(row.clone(), row.version))
            .collect();
        let all = expected.iter().cloned().map(WriteOutcome::Written);
        assert_eq!(verdicts, all.collect::<Vec<_>>());
        rows = expected;
        rows.rotate_left(1);
        rows[0].tags = vec!["new".to_owned()];
    }
}

/// The database makes the id, and the row's own is not heeded.
#[tokio::test]
async fn an_id_of_the_databases_making() {
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

/// Rows that are hidden by `only` are gone, for every operation; and an expression of `on_update`
/// means the row's own columns, also where many are written at once.
#[tokio::test]
async fn rows_that_are_deleted_softly() {
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
    let verdicts = notes
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
        verdicts,
        [
            WriteOutcome::NotFound,
            WriteOutcome::Written(written.clone())
        ]
    );
    // The write that hides a row returns it.
    let gone = notes
        .update(&Note {
            deleted: true,
            ..written
        })
        .await
        .unwrap();
    assert_eq!((gone.deleted, gone.ord), (true, 2));
    assert_eq!(notes.find(&1).await.unwrap(), None);
}

/// Nothing that a host may have given other meanings to is used by its short name.
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
async fn raw_identifiers_and_no_prelude() {
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
    let verdicts = kinds.update_all(&[kind], Bulk::Each).await.unwrap();
    let kind = verdicts
        .into_iter()
        .next()
        .and_then(WriteOutcome::into_row)
        .unwrap();
    assert_eq!(
        (&*kind.r#type, &*kind.r#in, kind.version.get()),
        ("mug", &[7][..], 3)
    );
}
