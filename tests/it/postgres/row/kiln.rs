//! A row with columns of every kind, and its table.

use std::{collections::BTreeMap, fmt};

use optilock::{
    Version,
    postgres::PgRepository,
    sqlx::{self, PgPool, types::Json},
    versioned_row,
};
use uuid::Uuid;

/// A newtype as id, whose column is a domain over text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(transparent)]
pub struct Code(pub String);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, sqlx::Type)]
#[sqlx(type_name = "\"odd \"\"schema\"\"\".glaze", rename_all = "lowercase")]
pub enum Glaze {
    Ash,
    Celadon,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Kiln {
    #[sqlx(rename = "Code")]
    pub code: Code,
    pub name: Option<String>,
    pub glaze: Glaze,
    pub second_glaze: Option<Glaze>,
    pub tags: Vec<String>,
    pub readings: Option<Vec<Option<f64>>>,
    pub palette: Vec<Glaze>,
    pub settings: Json<BTreeMap<String, i32>>,
    pub notes: Option<Json<Vec<String>>>,
    pub photo: Vec<u8>,
    pub owner: Option<Uuid>,
    pub hot: bool,
    pub shelves: i16,
    #[sqlx(rename = "order")]
    pub order_: i32,
    #[sqlx(rename = "lock version")]
    pub version: Version,
    pub volume: i64,
    pub fired: i32,
    pub touched: String,
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

/// Creates the table and returns its verified repository.
pub async fn kilns(pool: &PgPool) -> PgRepository<Kiln> {
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

/// Returns a row with a value in every column.
pub fn full(code: &str) -> Kiln {
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

/// Returns a row with the emptiest values that the table allows.
pub fn bare(code: &str) -> Kiln {
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

/// Returns the row as the database stores it after an insert.
pub fn inserted(row: Kiln) -> Kiln {
    Kiln {
        volume: i64::from(row.shelves) * 10,
        touched: "inserted".to_owned(),
        ..row
    }
}

/// Returns the row as the database stores it after an update at `version`.
pub fn written(row: Kiln, version: Version) -> Kiln {
    Kiln {
        version: version.next().unwrap(),
        fired: row.fired + 1,
        touched: "by trigger".to_owned(),
        ..inserted(row)
    }
}
