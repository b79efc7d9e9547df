//! A table of notes for tests of transactions.

use optilock::sqlx::{self, PgConnection, PgPool};

use crate::support::db::Db;

pub async fn with_notes() -> Db {
    let db = Db::empty().await;
    sqlx::raw_sql("CREATE TABLE public.notes (id bigserial PRIMARY KEY, text text NOT NULL)")
        .execute(&db.pool)
        .await
        .unwrap();
    db
}

pub async fn note(conn: &mut PgConnection, text: &str) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT INTO public.notes (text) VALUES ($1)").bind(text);
    insert.execute(conn).await.map(drop)
}

pub async fn notes(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM public.notes ORDER BY id")
        .fetch_all(pool)
        .await
        .unwrap()
}

pub async fn raw(conn: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop)
}
