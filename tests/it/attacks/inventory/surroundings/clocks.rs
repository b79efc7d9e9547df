//! 20: clocks.

use std::time::Duration;

use uuid::{NoContext, Timestamp, Uuid};

use super::{
    Answer, Cell, Fixture, Harness, NO_PRODUCT, Prepared, Variant,
    lock_holder::{LockHolder, LockOutcome, run_behind_lock},
};

/// Transactions commit in another order than they began. A session that began first and wrote last commits while the
/// operation waits for it. Its clock is a second ahead.
pub async fn commit_order(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    const WRITE: &str = "WITH product AS (
            UPDATE optilock.products SET version = version + 1, updated_at = clock_timestamp() + interval '1 s'
            WHERE sku = ($1::text[])[1] AND $2 IS NOT NULL AND NOT retired
            RETURNING sku, version, stock, updated_at)
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, moved_at)
        SELECT sku, version, 7, 0, stock, updated_at FROM product";
    let Prepared { fixture, before } = harness.prepare(variant).await;
    let Some(holder) = LockHolder::of(harness, &fixture, &[WRITE]).await else {
        return NO_PRODUCT;
    };
    let meanwhile = tokio::time::sleep(Duration::from_millis(10));
    let outcome = run_behind_lock(harness, variant, &fixture, cell, holder, meanwhile).await;
    let stored = fixture
        .stored(&harness.db.pool)
        .await
        .replacen(" 7:0", "", 1);
    let after = variant.operation.after.unwrap_or(&before);
    let answer = outcome.answer();
    let fits = match answer {
        Answer::Done => stored == after,
        Answer::NothingToDo => variant.operation.is_cleanup() && stored == before,
        Answer::NotDone(_) => answer.is_refused("conflict") && stored == before,
        Answer::Unknown(_) => false,
    };
    assert!(fits, "{cell}: {answer:?}, and stored is\n  {stored}");
    match outcome {
        LockOutcome::NotBlocked(_) => {
            Cell::CannotApply("it does not wait for the session that writes the product")
        }
        _ => Cell::Passed,
    }
}

/// The ids, which are all that the client's clock reaches, were created in 1970 or in 2100.
pub async fn clients_clock(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    for seconds in [0, 4_102_444_800] {
        let cell = format!("{cell} at {seconds} s");
        let id = || Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, 0));
        let mut fixture = Fixture::new(variant.operation.setup);
        fixture.order = id().into();
        fixture.reservation = id().into();
        fixture.token = id();
        let prepared = harness.store(fixture).await;
        let answer = harness.attempt(variant, &prepared.fixture, &cell).await;
        harness
            .judge(variant, &prepared, Some(&answer), &cell)
            .await;
        assert!(answer.is_done(), "{cell}: {answer:?}");
    }
    Cell::Passed
}

/// The rows were written by a server whose clock was a day ahead, before a failover to this one.
pub async fn another_server(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    const AHEAD: [&str; 4] = [
        "UPDATE optilock.products SET updated_at = updated_at + interval '1 day' WHERE sku = ANY ($1)
            AND $2 IS NOT NULL",
        "UPDATE optilock.movements SET moved_at = moved_at + interval '1 day' WHERE sku = ANY ($1)
            AND $2 IS NOT NULL",
        "UPDATE optilock.orders SET created_at = created_at + interval '1 day',
            pending_since = pending_since + interval '1 day' WHERE id = $2 AND $1 IS NOT NULL",
        "UPDATE optilock.holds SET expires_at = expires_at + interval '1 day'
            WHERE sku = ANY ($1) AND $2 IS NOT NULL AND expires_at > statement_timestamp()",
    ];
    if variant.operation.is_cleanup() {
        return Cell::CannotApply("by the clock of this server, nothing is old yet");
    }
    if variant.operation.method == "archive" {
        return Cell::CannotApply("by the clock of this server, the movements are not an hour old");
    }
    let mut prepared = harness.prepare(variant).await;
    let Prepared { fixture, before } = &mut prepared;
    let Some(writer) = LockHolder::of(harness, fixture, &AHEAD).await else {
        return NO_PRODUCT;
    };
    writer.release().await;
    *before = fixture.stored(&harness.db.pool).await;
    let answer = harness.attempt(variant, &prepared.fixture, cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?}");
    let long_holds = [" s0 long", " s2 long", " s1 long"];
    let plain = |stored: &str| {
        let short = long_holds.iter().map(|it| (it, it.replace(" long", "")));
        short.fold(stored.to_owned(), |text, (long, short)| {
            text.replace(long, &short)
        })
    };
    let stored = prepared.fixture.stored(&harness.db.pool).await;
    let after = variant.operation.after.unwrap_or(&prepared.before);
    assert_eq!(plain(&stored), plain(after), "{cell}");
    Cell::Passed
}
