//! The conversion of a retry error by the question mark operator.

use optilock::{
    Class, Classify, RetryError, inventory,
    postgres::{self, transact},
    sqlx::{self, PgPool},
};

use super::POLICY;
use crate::support::{
    db::assert_idle,
    notes::{note, with_notes},
    proxy::{Cut, Proxy},
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of a host that classifies every error of sqlx as busy.
#[derive(Debug)]
enum HostError {
    Busy,
    Unknown(#[expect(dead_code, reason = "shown by Debug")] Box<RetryError<HostError>>),
}

impl From<sqlx::Error> for HostError {
    fn from(_: sqlx::Error) -> Self {
        Self::Busy
    }
}

impl Classify for HostError {
    fn class(&self) -> Class {
        match self {
            Self::Busy => Class::Busy { retry_after: None },
            Self::Unknown(_) => Class::Unknown,
        }
    }
}

impl From<RetryError<HostError>> for HostError {
    fn from(gave_up: RetryError<HostError>) -> Self {
        let known = gave_up.try_into_inner();
        known.unwrap_or_else(|unknown| Self::Unknown(Box::new(unknown)))
    }
}

/// Inserts a note in one attempt.
async fn insert<E>(pool: &PgPool) -> Result<(), RetryError<E>>
where
    E: From<sqlx::Error> + Classify + Send,
{
    let once = POLICY.with_max_attempts(1);
    transact(pool, &once, async |tx| {
        note(tx, "noted").await.map_err(E::from)
    })
    .await
}

/// Defines functions that convert the error on the left to the error on the right, and `classes`, which
/// cuts the connection of each of them and returns the classes of their errors.
macro_rules! conversions {
    ($($name:ident: $from:ty => $to:ty;)*) => {
        $(async fn $name(pool: &PgPool) -> Result<(), $to> {
            Ok(insert::<$from>(pool).await?)
        })*

        async fn classes(
            proxy: &Proxy,
            pool: &PgPool,
            needle: &[u8],
            cut: Cut,
        ) -> Vec<(&'static str, Class)> {
            let mut found = Vec::new();
            $(
                proxy.trap(needle, cut.clone());
                let error = $name(pool).await.unwrap_err();
                assert!(!proxy.disarm(), stringify!($name));
                found.push((stringify!($name), error.class()));
            )*
            found
        }
    };
}

conversions! {
    host: HostError => HostError;
    rows: postgres::Error => postgres::Error;
    sqlx_in_rows: sqlx::Error => postgres::Error;
    inventory: inventory::Error => inventory::Error;
    rows_in_inventory: postgres::Error => inventory::Error;
    sqlx_in_inventory: sqlx::Error => inventory::Error;
    anyhow: anyhow::Error => anyhow::Error;
    boxed: BoxError => BoxError;
    sqlx_boxed: sqlx::Error => BoxError;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_mark_keeps_the_outcome() {
    let db = with_notes().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    for cut in [Cut::Before, Cut::Reply] {
        for (function, class) in classes(&proxy, &pool, b"COMMIT\0", cut).await {
            assert_eq!(class, Class::Unknown, "{function}");
        }
    }
    // Nothing took effect before COMMIT. An error whose retries are exhausted is not retried again.
    for (function, class) in classes(&proxy, &pool, b"noted", Cut::Before).await {
        let expected = match function {
            "host" | "rows" | "sqlx_in_rows" => Class::Busy { retry_after: None },
            _ => Class::Permanent,
        };
        assert_eq!(class, expected, "{function}");
    }
    assert_idle(&db.pool).await;
}
