//! Ids of several columns, in every operation.

use std::fmt;

use optilock::{
    RetryPolicy, Version,
    postgres::{Bulk, Error, ErrorKind, PgRepository, WriteOutcome, transact},
    sqlx, versioned_row,
};

use crate::support::{db::Db, triggers::run};

#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::FromRow)]
struct LineId {
    tenant: String,
    #[sqlx(rename = "order id")]
    order: i64,
    line: i32,
}

impl fmt::Display for LineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.tenant, self.order, self.line)
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Line {
    #[sqlx(flatten)]
    key: LineId,
    quantity: i32,
    tags: Vec<String>,
    writes: i32,
    hidden: bool,
    version: Version,
}

/// A table named by a constant.
const LINES: &str = "public.lines";

versioned_row! { Line in LINES {
    entity: "line",
    id: key: LineId { tenant, order = "order id", line },
    version: version as int4 from 0,
    columns: [quantity, tags as array, hidden],
    on_update: [writes: "writes + line - line + 1 -- counted"],
    only: "NOT hidden -- of the row",
} }

const TABLE: &str =
    "CREATE TABLE public.lines (tenant text, \"order id\" bigint, line int, quantity int NOT NULL,
         tags text[] NOT NULL, writes int NOT NULL DEFAULT 0, hidden boolean NOT NULL,
         version int NOT NULL DEFAULT 0, PRIMARY KEY (line, tenant, \"order id\"))";

fn key(tenant: &str, order: i64, line: i32) -> LineId {
    let tenant = tenant.to_owned();
    LineId {
        tenant,
        order,
        line,
    }
}

fn line(key: LineId, quantity: i32) -> Line {
    Line {
        key,
        quantity,
        tags: vec!["new".to_owned(), String::new()],
        writes: 0,
        hidden: false,
        version: Version::ZERO,
    }
}

/// Returns the row after a number of writes.
fn at(row: &Line, writes: i32) -> Line {
    Line {
        writes,
        version: Version::new(writes.into()).unwrap(),
        ..row.clone()
    }
}

async fn lines() -> (Db, PgRepository<Line>) {
    let db = Db::empty().await;
    run(&db.pool, TABLE).await;
    let lines = PgRepository::<Line>::new(db.pool.clone());
    lines.verify().await.unwrap();
    (db, lines)
}

/// Rows that differ from a row in one column of the id each.
fn neighbours() -> [Line; 4] {
    let keys = [
        key("a", 1, 1),
        key("b", 1, 1),
        key("a", 2, 1),
        key("a", 1, 2),
    ];
    keys.map(|key| line(key, 5))
}

#[tokio::test]
async fn operations_on_one_row_leave_its_neighbours() {
    let (db, lines) = lines().await;
    let [row, others @ ..] = neighbours();
    for row in [&row].into_iter().chain(&others) {
        assert_eq!(&lines.insert(row).await.unwrap(), row);
    }
    lines.verify().await.unwrap();
    let taken = lines.insert(&row).await.unwrap_err();
    assert_eq!(
        (taken.kind(), taken.id()),
        (ErrorKind::AlreadyExists, Some("a/1/1"))
    );
    assert_eq!(lines.get(&row.key).await.unwrap(), row);
    assert_eq!(lines.update(&row).await.unwrap(), at(&row, 1));
    let stale = lines.update(&row).await.unwrap_err();
    assert_eq!(
        stale.to_string(),
        "line a/1/1 moved on: expected version 0, found 1"
    );
    let outcome = lines.compare_and_set(&row).await.unwrap();
    assert_eq!(outcome, WriteOutcome::Stale(at(&row, 1)));
    let touched = lines.touch(&row.key, at(&row, 1).version).await.unwrap();
    assert_eq!(touched.get(), 2);
    let change = |row: &mut Line| {
        row.quantity += 1;
        Ok::<_, Error>(())
    };
    let policy = RetryPolicy::new();
    let (modified, ()) = lines.modify(&policy, &row.key, change).await.unwrap();
    assert_eq!((modified.quantity, modified.version.get()), (6, 3));
    let locking = policy.clone().with_locking_after(Some(0));
    lines.modify(&locking, &row.key, change).await.unwrap();
    let deleted = transact(&db.pool, &policy, async |tx| {
        let locked = lines.lock_in(tx, &row.key).await?;
        lines
            .assert_current_in(tx, &row.key, locked.version)
            .await?;
        lines.delete_in(tx, &row.key, locked.version).await?;
        Ok::<_, Error>(locked.quantity)
    });
    assert_eq!(deleted.await.unwrap(), 7);
    let missing = lines.get(&row.key).await.unwrap_err();
    assert_eq!(missing.to_string(), "no line a/1/1");
    for other in &others {
        assert_eq!(&lines.get(&other.key).await.unwrap(), other);
    }
}

#[tokio::test]
async fn bulk_operations_take_an_array_for_each_column() {
    let (_db, lines) = lines().await;
    let all = neighbours();
    let [row, others @ ..] = &all;
    let outcomes = lines.insert_all(&all[..2]).await.unwrap();
    let written = |rows: &[Line]| -> Vec<_> {
        rows.iter()
            .map(|row| WriteOutcome::Written(row.clone()))
            .collect()
    };
    assert_eq!(outcomes, written(&all[..2]));
    let outcomes = lines.insert_all(&all).await.unwrap();
    assert_eq!(
        outcomes[..2],
        [WriteOutcome::AlreadyExists, WriteOutcome::AlreadyExists]
    );
    assert_eq!(outcomes[2..], written(&all[2..]));
    // The keys in another order than the index has.
    let mut reversed = all.to_vec();
    reversed.reverse();
    let first: Vec<Line> = reversed.iter().map(|row| at(row, 1)).collect();
    let outcomes = lines.update_all(&reversed, Bulk::AllOrNothing).await;
    assert_eq!(outcomes.unwrap(), written(&first));
    let outcomes = lines.update_all(&reversed, Bulk::Each).await.unwrap();
    assert_eq!(outcomes[3], WriteOutcome::Stale(at(row, 1)));
    let second: Vec<Line> = reversed.iter().map(|row| at(row, 2)).collect();
    assert_eq!(lines.upsert_all(&reversed).await.unwrap(), written(&second));
    assert_eq!(lines.upsert(row).await.unwrap(), at(row, 3));
    let mut twice = all.to_vec();
    twice.push(row.clone());
    for repeated in [
        lines.update_all(&twice, Bulk::Each).await,
        lines.insert_all(&twice).await,
        lines.upsert_all(&twice).await,
    ] {
        let repeated = repeated.unwrap_err();
        assert_eq!(
            (repeated.kind(), repeated.id()),
            (ErrorKind::RepeatedId, Some("a/1/1"))
        );
    }
    let deletions = [
        (row.key.clone(), at(row, 3).version),
        (others[0].key.clone(), Version::ZERO),
        (key("z", 1, 1), Version::ZERO),
    ];
    let outcomes = lines.delete_all(&deletions, Bulk::AllOrNothing).await;
    assert_eq!(
        outcomes.unwrap(),
        [
            WriteOutcome::Skipped(at(row, 3)),
            WriteOutcome::Stale(at(&others[0], 2)),
            WriteOutcome::NotFound
        ]
    );
    let outcomes = lines.delete_all(&deletions, Bulk::Each).await.unwrap();
    assert_eq!(outcomes[0], WriteOutcome::Written(at(row, 3)));
    assert_eq!(lines.find(&row.key).await.unwrap(), None);
    assert_eq!(lines.get(&others[0].key).await.unwrap(), at(&others[0], 2));
}

#[tokio::test]
async fn a_hidden_row_is_neither_written_nor_inserted_again() {
    let (_db, lines) = lines().await;
    let row = line(key("a", 1, 1), 5);
    let hidden = Line {
        hidden: true,
        ..row.clone()
    };
    assert!(lines.upsert(&hidden).await.unwrap().hidden);
    let outcomes = lines.upsert_all(std::slice::from_ref(&row)).await.unwrap();
    assert_eq!(outcomes, [WriteOutcome::NotFound]);
    assert!(lines.upsert(&row).await.unwrap_err().is_not_found());
    let outcomes = lines.insert_all(std::slice::from_ref(&row)).await.unwrap();
    assert_eq!(outcomes, [WriteOutcome::AlreadyExists]);
    let deletion = [(row.key.clone(), row.version)];
    let outcomes = lines.delete_all(&deletion, Bulk::Each).await.unwrap();
    assert_eq!(outcomes, [WriteOutcome::NotFound]);
}

/// The index has to consist of exactly the columns of the id.
#[tokio::test]
async fn the_whole_id_has_a_unique_index() {
    let db = Db::empty().await;
    let keys = "PRIMARY KEY (line, tenant, \"order id\")";
    for (other, problem) in [
        (
            "UNIQUE (\"order id\", line, tenant) INCLUDE (version)",
            None,
        ),
        (
            "UNIQUE (line, tenant)",
            Some("the id has no unique index of its own"),
        ),
        (
            "UNIQUE (line, tenant, \"order id\", quantity)",
            Some("the id has no unique index of its own"),
        ),
        (
            "UNIQUE (line, tenant, quantity) INCLUDE (\"order id\")",
            Some("the id has no unique index of its own"),
        ),
    ] {
        let table = TABLE.replace(keys, other);
        run(
            &db.pool,
            format!("DROP TABLE IF EXISTS public.lines; {table}"),
        )
        .await;
        let verified = PgRepository::<Line>::new(db.pool.clone()).verify().await;
        let problems = verified.map_or_else(|error| error.problems().to_vec(), |()| Vec::new());
        assert_eq!(problems, Vec::from_iter(problem), "{other}");
    }
    // One of the columns is compared as another type.
    let table = TABLE.replace("tenant text", "tenant char(3)");
    run(
        &db.pool,
        format!("DROP TABLE IF EXISTS public.lines; {table}"),
    )
    .await;
    let verified = PgRepository::<Line>::new(db.pool.clone()).verify().await;
    let text = verified.unwrap_err().to_string();
    assert!(text.contains("no index finds column tenant"), "{text}");
}
