use optilock::{
    RetryPolicy, Version,
    postgres::{Error, PgRepository, transact},
    sqlx::{self, PgConnection, PgPool},
    versioned_row,
};

/// A `timestamptz`, in microseconds since 2000. With the feature `chrono` or `time` of sqlx's, use their type instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, sqlx::Type)]
#[sqlx(type_name = "timestamptz")]
pub struct Timestamp(pub i64);

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
pub struct Article {
    pub id: i64,
    pub title: String,
    pub updated_at: Timestamp,
    pub updated_by: String,
    pub version: Version,
}

versioned_row! { Article in "shop.articles" {
    entity: "article",
    id: id: i64,
    version: version,
    columns: [title, updated_by],
    on_update: [updated_at: "greatest(updated_at, clock_timestamp())"],
} }

/// Changes the title and writes the history in one transaction. Stores both or neither.
pub async fn rename(
    pool: &PgPool,
    articles: &PgRepository<Article>,
    id: i64,
    title: &str,
    user: &str,
) -> Result<Article, Error> {
    let policy = RetryPolicy::new().with_label("rename article");
    let renamed = transact(pool, &policy, async |tx| {
        let mut article = articles.get_in(tx, &id).await?;
        title.clone_into(&mut article.title);
        user.clone_into(&mut article.updated_by);
        let written = articles.update_in(tx, &article).await?;
        keep(tx, &written).await?;
        Ok::<_, Error>(written)
    });
    Ok(renamed.await?)
}

/// Writes what is stored now into the history, in the transaction that has stored it.
pub async fn keep(conn: &mut PgConnection, article: &Article) -> Result<(), sqlx::Error> {
    const KEEP: &str =
        "INSERT INTO shop.article_history (id, version, title, updated_at, updated_by)
        VALUES ($1, $2, $3, $4, $5)";
    sqlx::query(KEEP)
        .bind(article.id)
        .bind(article.version)
        .bind(&article.title)
        .bind(article.updated_at)
        .bind(&article.updated_by)
        .execute(conn)
        .await?;
    Ok(())
}

/// Returns the row as it was at a version: the base of an edit that states this version.
pub async fn at_version(
    pool: &PgPool,
    id: i64,
    version: Version,
) -> Result<Option<Article>, sqlx::Error> {
    const OLD: &str = "SELECT id, version, title, updated_at, updated_by
        FROM shop.article_history WHERE id = $1 AND version = $2";
    sqlx::query_as(OLD)
        .bind(id)
        .bind(version)
        .fetch_optional(pool)
        .await
}
