//! Columns of every kind, one row at a time and many at once.

use optilock::{
    Version,
    postgres::{Bulk, WriteOutcome},
    sqlx,
};

use super::kiln::{Kiln, bare, full, inserted, kilns, written};
use crate::support::db::Db;

#[tokio::test]
async fn every_type_survives_single_writes() {
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
async fn every_type_survives_bulk_writes() {
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
        let outcomes = kilns.update_all(&rows, mode).await.unwrap();
        let expected: Vec<Kiln> = rows
            .iter()
            .map(|row| written(row.clone(), row.version))
            .collect();
        let all = expected.iter().cloned().map(WriteOutcome::Written);
        assert_eq!(outcomes, all.collect::<Vec<_>>());
        rows = expected;
        rows.rotate_left(1);
        rows[0].tags = vec!["new".to_owned()];
    }
}
