//! What a handler of axum answers for an error of rows and transactions.

use std::{collections::BTreeSet, io, time::Duration};

use optilock::{
    RetryPolicy, Version,
    postgres::{
        Bulk, Error, ErrorKind, KeyTable, PgRepository, Tx, create_key_table, transact,
        transact_once,
    },
    sqlx::{self, PgPool},
    versioned_row,
};

use crate::{
    core::retry::events::Events,
    support::{
        bank::{Account, Bank, KEEPERS, PLACES},
        notes::raw,
        responses::Answer,
    },
};

/// What a client must not see: SQL, a host, a value.
pub const SECRET: &str = "SELECT pin FROM cards at db-7.internal";

/// Returns an error of the server's with this code, whose text is the secret.
pub async fn raised(pool: &PgPool, code: &str, more: &str) -> sqlx::Error {
    let sql = format!(
        "DO $$ BEGIN RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{code}', DETAIL = '{SECRET}'{more}; END $$"
    );
    let raised = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(pool).await;
    let error = raised.unwrap_err();
    assert!(error.to_string().contains(SECRET), "{error}");
    error
}

/// Returns an error of a connection that is lost.
pub fn lost() -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(SECRET))
}

/// The accounts as a struct that does not fit their table.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Misfit {
    id: i64,
    secret_column: String,
    version: Version,
}

versioned_row! { Misfit in "bank.accounts" {
    entity: "misfit", id: id: i64, version: version, columns: [secret_column],
} }

/// Makes one error of each kind, most of them by what causes them.
pub async fn errors(bank: &Bank) -> Vec<Error> {
    let accounts = &bank.accounts;
    let read = accounts.insert(&Account::new(1, 100)).await.unwrap();
    let mut last = Account::new(2, 0);
    last.version = Version::new(i64::MAX).unwrap();
    let last = accounts.insert(&last).await.unwrap();
    let mut stale = read.clone();
    stale.version = Version::new(7).unwrap();
    let many: Vec<Account> = (0..10_001).map(|id| Account::new(id, 0)).collect();
    let misfits = PgRepository::<Misfit>::new(bank.pool.clone());
    let mut errors = vec![
        accounts.update(&stale).await.unwrap_err(),
        raised(&bank.pool, "40001", "").await.into(),
        accounts.get(&9).await.unwrap_err(),
        accounts.insert(&read).await.unwrap_err(),
        accounts
            .update_all(&[read.clone(), read.clone()], Bulk::Each)
            .await
            .unwrap_err(),
        accounts.update_all(&many, Bulk::Each).await.unwrap_err(),
        accounts.update(&last).await.unwrap_err(),
        misfits.verify().await.unwrap_err(),
        raised(&bank.pool, "53300", "").await.into(),
        lost().into(),
        raised(&bank.pool, "42601", "").await.into(),
    ];
    errors.push(KeyTable::new("keys").unwrap_err());
    create_key_table(&bank.pool, &KeyTable::default())
        .await
        .unwrap();
    let once = async |fingerprint: &[u8]| {
        let nothing = async |_: &mut Tx<'_>| Ok::<_, Error>(());
        transact_once(&bank.pool, &RetryPolicy::new(), "k", fingerprint, nothing).await
    };
    once(b"first").await.unwrap();
    errors.push(once(b"second").await.unwrap_err().into());
    bank.run(KEEPERS[0]).await;
    errors.push(accounts.update(&read).await.unwrap_err());
    errors
}

#[tokio::test]
async fn every_kind_has_its_status_and_its_code_and_no_secret() {
    let bank = Bank::open(PLACES[0]).await;
    let mut seen = BTreeSet::new();
    for error in errors(&bank).await {
        let (kind, status, code) = (error.kind(), error.http_status(), error.code());
        seen.insert(format!("{kind:?}"));
        let facts = (error.entity(), error.id().map(str::to_owned));
        let recorded = Events::of("optilock::http");
        let guard = recorded.subscribe();
        let answer = Answer::of(error).await;
        drop(guard);
        let body = answer.problem(status, code);
        for secret in [SECRET, "db-7", "SELECT", "accounts_pkey", "secret_column"] {
            assert!(!answer.text.contains(secret), "{kind:?}: {answer:?}");
        }
        match kind {
            ErrorKind::Conflict => {
                assert_eq!(
                    (&body["entity"], &body["id"]),
                    (&"account".into(), &"1".into())
                );
                assert_eq!((&body["expected"], &body["actual"]), (&7.into(), &1.into()));
            }
            ErrorKind::NotFound | ErrorKind::AlreadyExists | ErrorKind::RepeatedId => {
                assert_eq!(body["entity"].as_str(), facts.0, "{kind:?}");
                assert_eq!(body["id"].as_str(), facts.1.as_deref(), "{kind:?}");
            }
            ErrorKind::TooManyRows => assert_eq!(body["entity"], "account"),
            _ => answer.bare_problem(status, code),
        }
        let busy = kind == ErrorKind::Busy;
        assert_eq!(answer.header("retry-after").is_some(), busy, "{kind:?}");
        // What the client does not learn is reported, and only that.
        let reported = recorded.lines();
        let hidden = status == 500 || kind == ErrorKind::Unknown;
        assert_eq!(
            reported.len(),
            usize::from(hidden),
            "{kind:?}: {reported:?}"
        );
        if matches!(kind, ErrorKind::Unknown | ErrorKind::Database) {
            assert!(reported[0].contains(SECRET), "{kind:?}: {reported:?}");
        }
    }
    let all = ErrorKind::ALL.iter().map(|kind| format!("{kind:?}"));
    assert_eq!(seen, all.collect());
}

/// The error alone says that the outcome is unknown; the transaction knows that nothing happened.
#[tokio::test]
async fn a_transaction_that_lost_its_connection_before_commit_is_busy() {
    let bank = Bank::open(PLACES[0]).await;
    let once = RetryPolicy::new().with_max_attempts(1);
    let end = "SELECT pg_terminate_backend(pg_backend_pid())";
    let gave_up = transact(&bank.pool, &once, async |tx| {
        raw(tx, end).await.map_err(Error::from)
    });
    let gave_up = gave_up.await.unwrap_err();
    assert!(gave_up.error.is_unknown(), "{gave_up:?}");
    let answer = Answer::of(gave_up).await;
    answer.bare_problem(503, "busy");
    assert_eq!(answer.header("retry-after"), Some("1"));
}

/// Seconds are rounded up, so that no client comes too early.
#[tokio::test]
async fn the_time_to_wait_is_in_whole_seconds() {
    use optilock::inventory;
    for (millis, seconds) in [
        (0, "1"),
        (1, "1"),
        (1_000, "1"),
        (1_001, "2"),
        (90_000, "90"),
    ] {
        let busy = inventory::Error::busy(Some(Duration::from_millis(millis)));
        assert_eq!(Answer::of(busy).await.header("retry-after"), Some(seconds));
    }
    let longest = inventory::Error::busy(Some(Duration::MAX));
    let longest = Answer::of(longest).await;
    assert_eq!(longest.header("retry-after"), Some("18446744073709551615"));
}
