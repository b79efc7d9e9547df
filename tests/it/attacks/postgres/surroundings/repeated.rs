//! 18: the same request is sent twice. 19: the row is at the last version.

use optilock::{
    Class,
    sqlx::{self},
};

use super::{Answer, Cell, Effect, Harness, Operation};
use crate::attacks::postgres::operations::OnRepeat;

const CHANGES_NOTHING: Cell = Cell::CannotApply("it changes nothing");

/// Asserts that the second of two requests has no effect of its own, or is another write of the row.
async fn assert_repeated(
    harness: &Harness,
    operation: &Operation,
    (id, cell): (i64, &str),
    answers: [&Answer; 2],
) {
    let done = answers.iter().filter(|answer| answer.is_done()).count();
    match operation.on_repeat {
        OnRepeat::Refused(code) => {
            let refused = answers.iter().any(|answer| answer.has_code(code));
            assert!(done == 1 && refused, "{cell}: {answers:?}");
            harness
                .judge(operation, id, Some(&Answer::Done), cell)
                .await;
        }
        OnRepeat::DoneBefore => {
            assert_eq!(done, 2, "{cell}: {answers:?}");
            harness
                .judge(operation, id, Some(&Answer::Done), cell)
                .await;
        }
        OnRepeat::Done => {
            assert_eq!(done, 2, "{cell}: {answers:?}");
            assert_eq!(
                harness.stored(id).await,
                Some((3, 700)),
                "{cell}: a lost update"
            );
        }
    }
}

pub async fn at_once(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    if operation.effect == Effect::Nothing {
        return CHANGES_NOTHING;
    }
    for _ in 0..4 {
        let id = harness.prepare(operation).await;
        let (one, other) = tokio::join!(
            harness.attempt(operation, id, cell),
            harness.attempt(operation, id, cell)
        );
        assert_repeated(harness, operation, (id, cell), [&one, &other]).await;
    }
    Cell::Passed
}

pub async fn later(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    if operation.effect == Effect::Nothing {
        return CHANGES_NOTHING;
    }
    let id = harness.prepare(operation).await;
    let one = harness.attempt(operation, id, cell).await;
    assert!(one.is_done(), "{cell}: {one:?}");
    let other = harness.attempt(operation, id, cell).await;
    assert_repeated(harness, operation, (id, cell), [&one, &other]).await;
    Cell::Passed
}

/// The row is at the last version of a bigint, which no write follows.
pub async fn last_version(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    const LAST: &str = "UPDATE bank.accounts SET version = 9223372036854775807 WHERE id = $1";
    if operation.effect == Effect::Inserted {
        return Cell::CannotApply("there is no row yet");
    }
    let id = harness.prepare(operation).await;
    let pool = &harness.db.pool;
    sqlx::query(LAST).bind(id).execute(pool).await.unwrap();
    let answer = harness.attempt(operation, id, cell).await;
    let stored = harness.stored(id).await;
    assert_eq!(stored, Some((i64::MAX, 100)), "{cell}: {answer:?}");
    let fits = match operation.name {
        "find" | "find_in" | "get" | "get_in" | "lock_in" | "verify" | "verify_in" => {
            answer.is_done()
        }
        // These read the row and write the next version; `transact` by a statement of the host.
        "modify" | "modify_in" | "transact_with" | "upsert" | "upsert_in" | "upsert_all"
        | "upsert_all_in" => answer.has_code("version-exhausted"),
        "transact" => answer.is_refused(Class::Permanent),
        _ if operation.is_once() => answer.has_code("version-exhausted"),
        // The others expect the first version.
        _ => answer.has_code("conflict"),
    };
    assert!(fits, "{cell}: {answer:?}");
    Cell::Passed
}
