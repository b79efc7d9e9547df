//! Who changed a row, when, and what was in it before.

use optilock::{
    Version,
    postgres::{ErrorKind, PgRepository},
    sqlx::{self, PgPool},
};

use super::database;
use crate::support::{
    db::{Db, sql_of},
    triggers::run,
};

#[path = "../../../src/guide/recipes/audit_columns.rs"]
mod recipe;
use recipe::{Article, Timestamp, at_version, keep, rename};

const SQL: &str = include_str!("../../../src/guide/recipes/audit_columns.sql");
const TEXT: &str = include_str!("../../../src/guide/recipes/audit_columns.md");

fn article() -> Article {
    Article {
        id: 7,
        title: "Clay".to_owned(),
        updated_at: Timestamp(0),
        updated_by: "ana".to_owned(),
        version: Version::FIRST,
    }
}

async fn table() -> (Db, PgRepository<Article>) {
    let db = database(SQL).await;
    let articles = PgRepository::new(db.pool.clone());
    articles.verify().await.unwrap();
    (db, articles)
}

/// Returns the versions, titles and users in the history, in order.
async fn history(pool: &PgPool) -> Vec<(i64, String, String)> {
    let rows = "SELECT version, title, updated_by FROM shop.article_history ORDER BY id, version";
    sqlx::query_as(rows).fetch_all(pool).await.unwrap()
}

fn entry(version: i64, title: &str, user: &str) -> (i64, String, String) {
    (version, title.to_owned(), user.to_owned())
}

#[tokio::test]
async fn each_write_sets_the_columns() {
    let (db, articles) = table().await;
    let mut article = articles.insert(&article()).await.unwrap();
    let inserted = article.updated_at;
    "leo".clone_into(&mut article.updated_by);
    let written = articles.update(&article).await.unwrap();
    assert!(written.updated_at > inserted, "{written:?}");
    assert_eq!(written.updated_by, "leo");
    // A clock that is set back: the row is of tomorrow.
    let tomorrow = "UPDATE shop.articles SET updated_at = clock_timestamp() + interval '1 day'";
    run(&db.pool, tomorrow).await;
    let tomorrow = articles.get(&7).await.unwrap();
    articles.touch(&7, tomorrow.version).await.unwrap();
    let touched = articles.get(&7).await.unwrap();
    assert_eq!(touched.updated_at, tomorrow.updated_at);
    assert_eq!(touched.updated_by, "leo");
}

#[tokio::test]
async fn the_program_writes_row_and_history_or_neither() {
    let (db, articles) = table().await;
    let first = articles.insert(&article()).await.unwrap();
    keep(&mut db.pool.acquire().await.unwrap(), &first)
        .await
        .unwrap();
    let renamed = rename(&db.pool, &articles, 7, "Red clay", "leo")
        .await
        .unwrap();
    assert_eq!(
        history(&db.pool).await,
        [entry(1, "Clay", "ana"), entry(2, "Red clay", "leo")]
    );
    let old = at_version(&db.pool, 7, first.version).await.unwrap();
    assert_eq!(old, Some(first));
    let current = at_version(&db.pool, 7, renamed.version).await.unwrap();
    assert_eq!(current.as_ref(), Some(&renamed));

    // A history that can't be written: the row is not written either.
    run(
        &db.pool,
        "ALTER TABLE shop.article_history ADD CHECK (version < 3)",
    )
    .await;
    let refused = rename(&db.pool, &articles, 7, "Clay", "eva")
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Database);
    assert_eq!(articles.get(&7).await.unwrap(), renamed);
}

/// As many renames at once as there are users: each is stored, with its history.
#[tokio::test(flavor = "multi_thread")]
async fn concurrent_writers_leave_no_gap_in_the_history() {
    let (db, articles) = table().await;
    let first = articles.insert(&article()).await.unwrap();
    keep(&mut db.pool.acquire().await.unwrap(), &first)
        .await
        .unwrap();
    let users = (0..8).map(|user| {
        let (pool, articles) = (db.pool.clone(), articles.clone());
        tokio::spawn(async move {
            let user = format!("user {user}");
            rename(&pool, &articles, 7, &user, &user).await.unwrap()
        })
    });
    for user in users.collect::<Vec<_>>() {
        user.await.unwrap();
    }
    let history = history(&db.pool).await;
    let versions: Vec<i64> = history.iter().map(|(version, ..)| *version).collect();
    assert_eq!(versions, (1..=9).collect::<Vec<_>>());
    assert!(history[1..].iter().all(|(_, title, user)| title == user));
}

#[tokio::test]
async fn the_trigger_writes_the_history_of_every_writer() {
    let (db, articles) = table().await;
    let [trigger] = sql_of::<1>(TEXT);
    run(&db.pool, trigger).await;
    let mut article = articles.insert(&article()).await.unwrap();
    "Red clay".clone_into(&mut article.title);
    let written = articles.update(&article).await.unwrap();
    articles.touch(&7, written.version).await.unwrap();
    let by_hand = "UPDATE shop.articles
        SET title = 'White clay', updated_by = 'sql', version = version + 1 WHERE id = 7";
    run(&db.pool, by_hand).await;
    assert_eq!(
        history(&db.pool).await,
        [
            entry(1, "Clay", "ana"),
            entry(2, "Red clay", "ana"),
            entry(3, "Red clay", "ana"),
            entry(4, "White clay", "sql"),
        ]
    );
    // A writer that does not increase the version.
    let careless = sqlx::raw_sql("UPDATE shop.articles SET title = 'Sand' WHERE id = 7");
    let refused = careless.execute(&db.pool).await.unwrap_err();
    let refused = refused.into_database_error().unwrap();
    assert_eq!(refused.constraint(), Some("article_history_pkey"));
    assert_eq!(articles.get(&7).await.unwrap().title, "White clay");
    // Both ways at once: the second row of the version is refused.
    let both = rename(&db.pool, &articles, 7, "Clay", "leo")
        .await
        .unwrap_err();
    assert_eq!(
        both.as_sqlx()
            .unwrap()
            .as_database_error()
            .unwrap()
            .constraint(),
        Some("article_history_pkey")
    );
}
