//! Answers that are stored with their keys.

use optilock::{
    Class, Classify, RetryError, StopReason,
    postgres::{Error, Once, OnceAnswer, transact_once_answer},
    sqlx::PgPool,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::effects::{QUICK, REQUEST, effects, keys, once, take_effect, with_effects};
use crate::support::proxy::{Cut, Proxy};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Booking {
    id: i64,
    seats: Vec<String>,
    price: Option<f64>,
    largest: u64,
    #[serde(skip)]
    attempt: u32,
}

impl Booking {
    fn new(id: i64) -> Self {
        Self {
            id,
            seats: vec!["A1".to_owned(), "🪑 \"\\".to_owned()],
            price: Some(0.1),
            largest: u64::MAX,
            attempt: 0,
        }
    }
}

/// Takes effect for this key and returns the answer.
async fn answer<T: Clone + Send + Sync + Serialize + DeserializeOwned>(
    pool: &PgPool,
    key: &str,
    value: T,
) -> Result<OnceAnswer<T>, RetryError<Error>> {
    transact_once_answer(pool, &QUICK, key, REQUEST, async |tx| {
        take_effect(tx, key).await?;
        Ok(value.clone())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_has_the_stored_answer() {
    let db = with_effects().await;
    for replayed in [false, true, true] {
        // Another value each time, of which the first one is stored.
        let value = Booking {
            attempt: 7,
            ..Booking::new(i64::from(replayed))
        };
        let booked = answer(&db.pool, "k", value).await.unwrap();
        assert_eq!(
            (booked.answer, booked.replayed),
            (Booking::new(0), replayed)
        );
    }
    assert_eq!(effects(&db.pool, "k").await, 1);

    // Values that are null in JSON are answers too.
    for replayed in [false, true] {
        let nothing = answer(&db.pool, "none", None::<u32>).await.unwrap();
        assert_eq!((nothing.answer, nothing.replayed), (None, replayed));
        let unit = answer(&db.pool, "unit", ()).await.unwrap();
        assert_eq!((unit.answer, unit.replayed), ((), replayed));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_whose_commit_was_lost_has_its_own_answer() {
    let db = with_effects().await;
    let proxy = Proxy::new(&db).await;
    let pool = proxy.pool(2).await;
    for cut in [Cut::Before, Cut::Reply] {
        let key = format!("{cut:?}");
        proxy.trap(b"COMMIT\0", cut);
        let booked = answer(&pool, &key, Booking::new(1)).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!((booked.answer, booked.replayed), (Booking::new(1), false));
        let again = answer(&pool, &key, Booking::new(2)).await.unwrap();
        assert_eq!((again.answer, again.replayed), (Booking::new(1), true));
        assert_eq!(effects(&db.pool, &key).await, 1);
    }
}

async fn assert_refused<T: Clone + Send + Sync + Serialize + DeserializeOwned>(
    pool: &PgPool,
    value: T,
    why: &str,
) {
    let refused = answer(pool, "k", value).await.err().expect(why);
    assert_eq!(
        (refused.reason, refused.class()),
        (StopReason::Permanent, Class::Permanent),
        "{why}"
    );
    let source = refused.error.as_sqlx().expect(why).to_string();
    assert!(source.contains(why), "{source}");
    assert_eq!(
        (effects(pool, "k").await, keys(pool, "k").await),
        (0, 0),
        "{why}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_stored_or_read_back_changes_nothing() {
    let db = with_effects().await;
    assert_refused(&db.pool, "a\0b".to_owned(), "Unicode escape").await;
    // It is null in JSON.
    assert_refused(&db.pool, f64::NAN, "invalid type: null").await;
    // JSON has no keys of this type.
    let keyed = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert_refused(&db.pool, keyed, "key must be a string").await;
}

/// It has taken effect, so that "nothing happened" would be wrong.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_cannot_be_read_is_unknown() {
    let db = with_effects().await;
    assert_eq!(once(&db.pool, &QUICK, "none").await.unwrap(), Once::Done(1));
    answer(&db.pool, "other", "text".to_owned()).await.unwrap();
    for (key, why) in [
        ("none", "unexpected null"),
        ("other", "invalid type: string"),
    ] {
        let unknown = answer(&db.pool, key, 1).await.unwrap_err();
        assert_eq!(
            (unknown.reason, unknown.class()),
            (StopReason::Unknown, Class::Unknown),
            "{key}"
        );
        let error = Error::from(unknown);
        assert!(error.is_unknown(), "{error}");
        let source = error
            .as_sqlx()
            .expect("sqlx could not decode it")
            .to_string();
        assert!(source.contains(why), "{source}");
        assert_eq!(effects(&db.pool, key).await, 1);
    }
    assert_eq!(
        once(&db.pool, &QUICK, "other").await.unwrap(),
        Once::AlreadyDone
    );
}
