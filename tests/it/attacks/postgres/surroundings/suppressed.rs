//! 2: a trigger of the host drops or alters what is written. 3: a row-level policy hides it. 4: a trigger refuses it.

use optilock::{Class, sqlx};

use super::{Answer, Cell, Harness, Operation, harness::insert};
use crate::support::{
    db::{pool_options, with_role},
    triggers::run,
};

const FUNCTIONS: &str = "
    CREATE SEQUENCE IF NOT EXISTS public.attacks;
    CREATE OR REPLACE FUNCTION public.tamper() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('public.attacks');
        IF TG_ARGV[0] = 'null' THEN RETURN NULL; END IF;
        IF TG_ARGV[0] = 'old' THEN RETURN OLD; END IF;
        NEW.version := OLD.version;
        NEW.cents := OLD.cents;
        NEW.owner := 'altered';
        RETURN NEW;
    END $$;
    CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF coalesce(NEW.id, OLD.id) <> TG_ARGV[0]::bigint THEN RETURN coalesce(NEW, OLD); END IF;
        PERFORM nextval('public.attacks');
        RAISE EXCEPTION 'the host refuses it' USING ERRCODE = '23514';
    END $$;
    ALTER SEQUENCE public.attacks RESTART;";

const NOT_WRITTEN: Cell = Cell::CannotApply("it does not write the table in that way");

/// `transact` runs a statement of the host, whose outcome only the host can judge.
const OF_HOST: Cell = Cell::CannotApply("the statement in it is the host's own");

fn does_not_apply(operation: &Operation, event: &str) -> Option<Cell> {
    if operation.effect.event() != Some(event) {
        Some(NOT_WRITTEN)
    } else if operation.name == "transact" {
        Some(OF_HOST)
    } else {
        None
    }
}

async fn has_fired(harness: &Harness) -> bool {
    sqlx::query_scalar("SELECT is_called FROM public.attacks")
        .fetch_one(&harness.db.pool)
        .await
        .unwrap()
}

fn assert_suppressed(answer: &Answer, cell: &str) {
    let named = answer.text().contains("policy") || answer.text().contains("trigger");
    // Written by a table of outcomes, whose `Suppressed` has no text.
    let is_outcome = answer.text().ends_with(": suppressed");
    let diagnosed = answer.is_refused(Class::Permanent) && (named || is_outcome);
    assert!(diagnosed, "{cell}: {answer:?}");
}

pub async fn tampering(
    harness: &Harness,
    operation: &&Operation,
    cell: &str,
    (event, how): (&str, &str),
) -> Cell {
    if let Some(reason) = does_not_apply(operation, event) {
        return reason;
    }
    let pool = &harness.db.pool;
    let id = harness.prepare(operation).await;
    let arm = format!(
        "{FUNCTIONS} CREATE TRIGGER tamper BEFORE {event} ON bank.accounts
            FOR EACH ROW EXECUTE FUNCTION public.tamper('{how}')"
    );
    run(pool, arm).await;
    let answer = harness.attempt(operation, id, cell).await;
    run(pool, "DROP TRIGGER tamper ON bank.accounts").await;
    assert!(
        has_fired(harness).await,
        "{cell}: the trigger never fired, and {answer:?}"
    );
    harness.judge(operation, id, Some(&answer), cell).await;
    assert_suppressed(&answer, cell);
    Cell::Passed
}

pub async fn hiding(harness: &Harness, operation: &&Operation, cell: &str, event: &str) -> Cell {
    if let Some(reason) = does_not_apply(operation, event) {
        return reason;
    }
    let pool = &harness.db.pool;
    let id = harness.prepare(operation).await;
    let allowed = match event {
        "INSERT" => "FOR UPDATE USING (true) WITH CHECK (true)",
        _ => "FOR INSERT WITH CHECK (true)",
    };
    with_role(pool, async |role| {
        let arm = format!(
            "GRANT USAGE ON SCHEMA bank TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON bank.accounts TO {role};
             GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT, INSERT, UPDATE ON optilock.once_keys TO {role};
             ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY;
             CREATE POLICY reading ON bank.accounts FOR SELECT USING (true);
             CREATE POLICY writing ON bank.accounts {allowed};"
        );
        run(pool, arm).await;
        let options = harness
            .db
            .database
            .options()
            .username(role)
            .password("secret");
        let own = harness.through(pool_options(2).connect_with(options).await.unwrap());
        let answer = own.attempt(operation, id, cell).await;
        own.judge(operation, id, Some(&answer), cell).await;
        assert_suppressed(&answer, cell);
        own.pool.close().await;
        let disarm = "DROP POLICY reading ON bank.accounts; DROP POLICY writing ON bank.accounts;
             ALTER TABLE bank.accounts DISABLE ROW LEVEL SECURITY;";
        run(pool, disarm).await;
    })
    .await;
    Cell::Passed
}

/// A trigger of the host refuses this row among 3,000; operations on others still work.
pub async fn refusing(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    let Some(event) = operation.effect.event() else {
        return Cell::CannotApply("it writes no such row");
    };
    let pool = &harness.db.pool;
    let crowd = "INSERT INTO bank.accounts (id, owner, cents)
        SELECT -n, 'crowd', 100 FROM generate_series(1, 3000) n";
    run(pool, crowd).await;
    let id = harness.prepare(operation).await;
    let arm = format!(
        "{FUNCTIONS} CREATE TRIGGER refuse BEFORE {event} ON bank.accounts
            FOR EACH ROW EXECUTE FUNCTION public.refuse('{id}')"
    );
    run(pool, arm).await;
    let answer = harness.attempt(operation, id, cell).await;
    harness.judge(operation, id, Some(&answer), cell).await;
    let diagnosed =
        answer.is_refused(Class::Permanent) && answer.text().contains("the host refuses it");
    assert!(diagnosed && has_fired(harness).await, "{cell}: {answer:?}");
    harness
        .expect_done(operation, &format!("{cell}, on another"))
        .await;
    insert(pool, i64::MAX).await;
    run(pool, "DROP TRIGGER refuse ON bank.accounts").await;
    let answer = harness.attempt(operation, id, cell).await;
    harness.judge(operation, id, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?} without the trigger");
    Cell::Passed
}
