//! 2: a trigger of the host drops or alters what is written.

use optilock::{Class, sqlx};

use super::{
    Answer, Cell, Harness, Variant,
    written_tables::{NOT_WRITTEN, writes},
};
use crate::support::triggers::run;

const FUNCTIONS: &str = "
    CREATE SEQUENCE IF NOT EXISTS public.attacks;
    CREATE OR REPLACE FUNCTION public.tamper() RETURNS trigger AS $$
    BEGIN
        PERFORM nextval('public.attacks');
        IF TG_ARGV[0] = 'null' THEN RETURN NULL; END IF;
        IF TG_ARGV[0] = 'old' THEN RETURN OLD; END IF;
        CASE TG_TABLE_NAME
            WHEN 'products' THEN NEW.stock := NEW.stock + 1;
            WHEN 'orders' THEN
                IF TG_OP = 'INSERT' THEN NEW.status := 1;
                ELSE
                    NEW.status := OLD.status; NEW.version := OLD.version;
                    NEW.idempotency_key := OLD.idempotency_key; NEW.reason := 'altered';
                END IF;
            WHEN 'order_lines' THEN
                IF TG_OP = 'INSERT' THEN NEW.quantity := NEW.quantity + 1;
                ELSE NEW.returned := OLD.returned; NEW.price := OLD.price + 1;
                END IF;
            WHEN 'holds' THEN
                IF TG_OP = 'INSERT' THEN NEW.quantity := NEW.quantity + 1; NEW.held := NEW.quantity;
                ELSE
                    NEW.held := OLD.held; NEW.state := OLD.state;
                    NEW.expires_at := OLD.expires_at + interval '1 s';
                END IF;
            WHEN 'movements' THEN NEW.delta := NEW.delta + 1;
            WHEN 'reservations' THEN NEW.id := gen_random_uuid();
            WHEN 'returns' THEN NEW.quantities := '[99]';
            WHEN 'outbox' THEN NEW.order_id := gen_random_uuid();
        END CASE;
        RETURN NEW;
    END $$ LANGUAGE plpgsql;";

/// Asserts that the answer names a trigger or a policy as the cause.
pub fn assert_suppressed(variant: &Variant, answer: &Answer, codes: &[&str], cell: &str) {
    let explained = match answer {
        // A clean-up reports what it skipped by an event and a metric.
        Answer::NothingToDo => variant.operation.is_cleanup(),
        Answer::NotDone(error) => {
            let text = answer.text();
            codes.contains(&error.code())
                && !answer
                    .class()
                    .is_some_and(|class| class != Class::Permanent)
                && (text.contains("policy") || text.contains("trigger"))
        }
        _ => false,
    };
    assert!(explained, "{cell}: {answer:?}");
}

pub async fn tampering(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    (table, event, how): (&str, &str, &str),
) -> Cell {
    if !writes(variant, table, event).await {
        return NOT_WRITTEN;
    }
    let pool = &harness.db.pool;
    let prepared = harness.prepare(variant).await;
    let arm = format!(
        "{FUNCTIONS}
        CREATE TRIGGER tamper BEFORE {event} ON optilock.{table}
            FOR EACH ROW EXECUTE FUNCTION public.tamper('{how}');
        ALTER SEQUENCE public.attacks RESTART;"
    );
    run(pool, arm).await;
    let answer = harness.attempt(variant, &prepared.fixture, cell).await;
    harness.judge(variant, &prepared, Some(&answer), cell).await;
    let fired: bool = sqlx::query_scalar("SELECT is_called FROM public.attacks")
        .fetch_one(pool)
        .await
        .unwrap();
    assert!(fired, "{cell}: the trigger never fired, and {answer:?}");
    assert_suppressed(variant, &answer, &["suppressed"], cell);
    let disarm = format!("DROP TRIGGER tamper ON optilock.{table}");
    run(pool, disarm).await;
    Cell::Passed
}
