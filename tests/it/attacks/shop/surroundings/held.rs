//! 5: another session holds a row until the test lets go. 6: the role's timeouts.

use optilock::Class;
use tokio::time::timeout;

use super::{
    Bench, Cell, Subject,
    holder::{HOLDS, Holder, Met, ORDER, PRODUCTS, behind, neighbours},
};

const NO_ROW: Cell = Cell::CannotApply("there is no row that another session could hold");
const NO_WAIT: Cell = Cell::CannotApply("it does not wait for what the other session holds");

pub async fn row(bench: &Bench, subject: &Subject, cell: &str, row: &str) -> Cell {
    let made = bench.case(subject).await;
    let Some(holder) = Holder::of(bench, &made.0, &[row]).await else {
        return NO_ROW;
    };
    if subject.operation.is_cleanup() {
        return skipped(bench, subject, cell, made, holder).await;
    }
    let meanwhile = neighbours(bench, cell);
    let met = behind(bench, subject, &made.0, cell, holder, meanwhile).await;
    bench.judge(subject, &made, Some(met.answer()), cell).await;
    assert!(met.answer().is_done(), "{cell}: {:?}", met.answer());
    match met {
        Met::Passed(_) => NO_WAIT,
        _ => Cell::Held,
    }
}

/// A clean-up goes on without what is held, and cleans that up the next time.
async fn skipped(
    bench: &Bench,
    subject: &Subject,
    cell: &str,
    made: (super::Case, String),
    holder: Holder,
) -> Cell {
    let other = bench.case(subject).await;
    let work = async {
        tokio::join!(
            bench.attempt(subject, &made.0, cell),
            neighbours(bench, cell)
        )
        .0
    };
    // What is not known to wait has time, on two cores.
    let limit = std::time::Duration::from_secs(2).min(bench.limit);
    let answer = timeout(limit, work).await;
    let answer = answer.unwrap_or_else(|_| panic!("{cell}: it waits for the holder"));
    assert!(
        answer.is_done(),
        "{cell}: the other is not cleaned up: {answer:?}"
    );
    let after = subject.operation.after.unwrap();
    assert_eq!(
        other.0.stored(&bench.db.pool).await,
        after,
        "{cell}: the other"
    );
    holder.let_go().await;
    if made.0.stored(&bench.db.pool).await == after {
        return NO_WAIT;
    }
    let answer = bench.attempt(subject, &made.0, cell).await;
    bench.judge(subject, &made, Some(&answer), cell).await;
    assert!(
        answer.is_done(),
        "{cell}: {answer:?} when nothing is held any more"
    );
    Cell::Held
}

/// Everything is held for longer than the role's limit.
pub async fn with_limit(
    bench: &Bench,
    subject: &Subject,
    cell: &str,
    (setting, limit, code): (&str, &str, &str),
) -> Cell {
    let own = bench.with_settings(2, &[(setting, limit)]).await;
    let made = own.case(subject).await;
    let Some(holder) = Holder::of(bench, &made.0, &[ORDER, PRODUCTS, HOLDS]).await else {
        own.run_well(subject, cell).await;
        return NO_ROW;
    };
    let never = std::future::pending();
    let met = behind(&own, subject, &made.0, cell, holder, never).await;
    own.judge(subject, &made, Some(met.answer()), cell).await;
    match met {
        Met::Passed(_) => NO_WAIT,
        Met::GaveUp(answer) if subject.operation.is_cleanup() => {
            assert!(
                matches!(answer, super::Answer::Nothing),
                "{cell}: {answer:?}"
            );
            own.run_well(subject, cell).await;
            Cell::Held
        }
        Met::GaveUp(answer) => {
            let class = match code {
                "busy" => Class::Busy { retry_after: None },
                _ => Class::Permanent,
            };
            assert!(
                answer.is_refused(code) && answer.class() == Some(class),
                "{cell}: {answer:?}"
            );
            Cell::Held
        }
        Met::Waited(answer) => panic!("{cell}: nothing let go, and {answer:?}"),
    }
}

/// `idle_in_transaction_session_timeout`.
pub async fn idle(bench: &Bench, subject: &Subject, cell: &str) -> Cell {
    let limit = [("idle_in_transaction_session_timeout", "500ms")];
    bench
        .with_settings(2, &limit)
        .await
        .run_well(subject, cell)
        .await;
    Cell::CannotApply("nothing of the host's runs in its transaction, so that it is never idle")
}
