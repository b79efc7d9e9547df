//! A database with one counter, for tests of transactions.

use optilock::sqlx::{self, PgConnection, PgPool};

use crate::support::db::Db;

pub async fn with_counter() -> Db {
    let db = Db::empty().await;
    for sql in [
        "CREATE TABLE public.counter (id int PRIMARY KEY, n bigint NOT NULL)",
        "INSERT INTO public.counter VALUES (1, 0)",
    ] {
        sqlx::query(sql).execute(&db.pool).await.unwrap();
    }
    db
}

pub async fn add_one(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE public.counter SET n = n + 1")
        .execute(conn)
        .await
        .map(drop)
}

pub async fn counter(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT n FROM public.counter")
        .fetch_one(pool)
        .await
        .unwrap()
}
