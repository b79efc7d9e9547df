//! Keys and fingerprints.

use optilock::{
    StopReason,
    postgres::{Error, ErrorKind, Once, transact_once},
    sqlx,
};

use super::effects::{QUICK, REQUEST, effects, keys, once, take_effect, with_effects};
use crate::support::db::assert_idle;

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_changes_nothing() {
    let db = with_effects().await;
    assert_eq!(once(&db.pool, &QUICK, "k").await.unwrap(), Once::Done(1));
    for _ in 0..3 {
        assert_eq!(
            once(&db.pool, &QUICK, "k").await.unwrap(),
            Once::AlreadyDone
        );
    }
    assert_eq!(
        once(&db.pool, &QUICK, "other").await.unwrap(),
        Once::Done(1)
    );
    assert_eq!(
        (
            effects(&db.pool, "k").await,
            effects(&db.pool, "other").await
        ),
        (1, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_another_fingerprint_is_a_mismatch() {
    let db = with_effects().await;
    let large = vec![0; 100_000];
    let call = async |fingerprint: &[u8]| {
        transact_once(&db.pool, &QUICK, "k", fingerprint, async |tx| {
            take_effect(tx, "k").await
        })
        .await
    };
    assert_eq!(call(&large).await.unwrap(), Once::Done(1));
    for other in [b"".as_slice(), REQUEST, &large[1..]] {
        let refused = call(other).await.unwrap_err();
        assert_eq!(
            (refused.reason, refused.attempts),
            (StopReason::Permanent, 1)
        );
        let error = Error::from(refused);
        assert_eq!(error.kind(), ErrorKind::IdempotencyMismatch);
        assert_eq!(
            (error.code(), error.http_status()),
            ("idempotency-mismatch", 422)
        );
        assert_eq!(
            (error.entity(), error.id()),
            (Some("idempotency key"), Some("k"))
        );
        let text = "idempotency key k was used before, by another request: send that request again, or use a new key";
        assert_eq!(error.to_string(), text);
        let error = optilock::inventory::Error::from(error);
        assert_eq!(
            (error.code(), error.http_status()),
            ("idempotency-mismatch", 422)
        );
    }
    assert_eq!(call(&large).await.unwrap(), Once::AlreadyDone);
    assert_eq!(effects(&db.pool, "k").await, 1);
    assert_idle(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_stored_as_it_is_or_refused() {
    let db = with_effects().await;
    let (longest, pairs) = ("k".repeat(500), "🔑".repeat(125));
    for key in [
        "'; DROP TABLE optilock.once_keys; --",
        "$1",
        "\\",
        "%",
        "\u{202e}abc",
        "e\u{301}",
        "\u{e9}",
        "K",
        "k",
        " k",
        "ключ",
        &longest,
        &pairs,
    ] {
        assert_eq!(
            once(&db.pool, &QUICK, key).await.unwrap(),
            Once::Done(1),
            "{key:?}"
        );
        assert_eq!(
            once(&db.pool, &QUICK, key).await.unwrap(),
            Once::AlreadyDone,
            "{key:?}"
        );
        assert_eq!(
            (effects(&db.pool, key).await, keys(&db.pool, key).await),
            (1, 1),
            "{key:?}"
        );
    }
    let (long, random): (_, String) = (
        "k".repeat(10_000),
        (0..10_000).map(|_| rand::random_range('a'..='z')).collect(),
    );
    for (key, problem) in [
        ("", "is empty"),
        ("\t", "is empty"),
        ("a\0b", "holds a control character"),
        ("a\u{7f}b", "holds a control character"),
        (&long, "is 10000 bytes long, the most is 500"),
        (&random, "is 10000 bytes long, the most is 500"),
    ] {
        let refused = once(&db.pool, &QUICK, key).await.unwrap_err();
        assert_eq!(refused.reason, StopReason::Permanent);
        let error = Error::from(refused);
        assert_eq!(
            (error.kind(), error.http_status()),
            (ErrorKind::Invalid, 400),
            "{key:?}"
        );
        assert_eq!(error.to_string(), format!("the idempotency key {problem}"));
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM public.effects")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(left, 13);
}
