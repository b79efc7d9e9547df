//! Anomalies that PostgreSQL has below SERIALIZABLE, made by two transactions step by step.

use optilock::sqlx::{self, AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use crate::histories::{
    effects::Effects,
    history::{History, Outcome, Seen, Step, append},
    level::Level,
    lists,
};

/// Two transactions on lists 0 and 1 that begin before either ends.
struct Pair {
    history: History,
    connections: [Option<Transaction<'static, Postgres>>; 2],
    steps: [Vec<Step>; 2],
}

impl Pair {
    async fn begin(pool: &PgPool, level: &str) -> Self {
        let mut begun = Vec::new();
        let mut history = History::default();
        for process in 0..2 {
            let begin = AssertSqlSafe(format!("BEGIN ISOLATION LEVEL {level}"));
            begun.push(Some(pool.begin_with(begin).await.unwrap()));
            let list = process.to_string();
            let both = ["0", "1"].map(|key| append(key, list.clone()));
            history.begin(process, both.to_vec());
        }
        Self {
            history,
            connections: begun.try_into().expect("two transactions"),
            steps: Default::default(),
        }
    }

    async fn read(&mut self, of: usize, list: i64) -> Vec<String> {
        let elements = read(self.connection(of), list).await;
        self.steps[of].push(Step::Read(list.to_string(), Seen::List(elements.clone())));
        elements
    }

    /// Appends to a list as the database has it.
    async fn append(&mut self, of: usize, list: i64) {
        let append = "UPDATE histories.lists SET elements = elements || $2 WHERE id = $1";
        self.write(of, list, append, vec![of.to_string()]).await;
    }

    /// Appends to a list as it was read: without a guard, this overwrites what others have appended since.
    async fn overwrite(&mut self, of: usize, list: i64, mut elements: Vec<String>) {
        elements.push(of.to_string());
        let overwrite = "UPDATE histories.lists SET elements = $2 WHERE id = $1";
        self.write(of, list, overwrite, elements).await;
    }

    async fn write(&mut self, of: usize, list: i64, sql: &'static str, elements: Vec<String>) {
        let write = sqlx::query(sql).bind(list).bind(elements);
        write.execute(self.connection(of)).await.unwrap();
        self.steps[of].push(append(list.to_string(), of.to_string()));
    }

    fn connection(&mut self, of: usize) -> &mut PgConnection {
        self.connections[of].as_mut().expect("an open transaction")
    }

    async fn commit(&mut self, of: usize) {
        let open = self.connections[of].take().expect("an open transaction");
        open.commit().await.unwrap();
        let steps = std::mem::take(&mut self.steps[of]);
        self.history.end(of, Outcome::Done(steps));
    }

    /// Adds the last read, and returns the history.
    async fn finish(mut self, pool: &PgPool) -> History {
        self.history.finish(&lists::stored(pool).await);
        self.history
    }
}

async fn read(conn: &mut PgConnection, list: i64) -> Vec<String> {
    sqlx::query_scalar("SELECT elements FROM histories.lists WHERE id = $1")
        .bind(list)
        .fetch_one(conn)
        .await
        .unwrap()
}

/// Returns the history of two transactions that read a list and overwrite it.
async fn lost_update(pool: &PgPool) -> History {
    let mut pair = Pair::begin(pool, "READ COMMITTED").await;
    let (first, second) = (pair.read(0, 0).await, pair.read(1, 0).await);
    pair.overwrite(0, 0, first).await;
    pair.commit(0).await;
    pair.overwrite(1, 0, second).await;
    pair.commit(1).await;
    pair.finish(pool).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_update_at_read_committed_is_found() {
    let db = lists::database(1).await;
    let history = lost_update(&db.pool).await;
    Level::ReadCommitted.assert_holds(&history);
    let found = Level::SnapshotIsolation.anomalies_of(&history);
    assert!(found.contains(&"lost-update".to_owned()), "{found:?}");
    let lost = Effects::of(&history, &lists::stored(&db.pool).await).unwrap_err();
    assert!(
        lost.len() == 1 && lost[0].contains("is not stored"),
        "{lost:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_skew_at_repeatable_read_is_found() {
    let db = lists::database(1).await;
    let mut pair = Pair::begin(&db.pool, "REPEATABLE READ").await;
    pair.read(0, 1).await;
    pair.read(1, 0).await;
    pair.append(0, 0).await;
    pair.commit(0).await;
    pair.append(1, 1).await;
    pair.commit(1).await;
    let history = pair.finish(&db.pool).await;
    Level::SnapshotIsolation.assert_holds(&history);
    assert_eq!(Level::Serializable.anomalies_of(&history), ["G2-item"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_skew_at_read_committed_is_found() {
    let db = lists::database(1).await;
    let mut pair = Pair::begin(&db.pool, "READ COMMITTED").await;
    pair.read(1, 0).await;
    pair.append(0, 0).await;
    pair.append(0, 1).await;
    pair.commit(0).await;
    pair.read(1, 1).await;
    pair.commit(1).await;
    let history = pair.finish(&db.pool).await;
    Level::ReadCommitted.assert_holds(&history);
    assert_eq!(
        Level::SnapshotIsolation.anomalies_of(&history),
        ["G-single-item"]
    );
}

/// One transaction after the other is clean.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_that_read_the_latest_state_pass() {
    let db = lists::database(1).await;
    let mut pair = Pair::begin(&db.pool, "SERIALIZABLE").await;
    for list in [0, 1] {
        let elements = pair.read(0, list).await;
        pair.overwrite(0, list, elements).await;
    }
    pair.commit(0).await;
    let elements = pair.read(1, 0).await;
    pair.overwrite(1, 0, elements).await;
    pair.commit(1).await;
    let history = pair.finish(&db.pool).await;
    Level::StrictSerializable.assert_holds(&history);
    Effects::of(&history, &lists::stored(&db.pool).await).unwrap();
}
