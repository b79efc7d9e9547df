//! 4: a trigger of the host refuses the rows of one product, one customer or one order.

use optilock::sqlx;

use super::{Answer, Cell, Harness, Variant};
use crate::support::triggers::run;

const FUNCTIONS: &str = "
    CREATE SEQUENCE IF NOT EXISTS public.attacks;
    CREATE TABLE IF NOT EXISTS public.poison (name text);
    CREATE OR REPLACE FUNCTION public.refuse() RETURNS trigger AS $$
    BEGIN
        IF to_jsonb(NEW) ->> TG_ARGV[0] IN (SELECT name FROM public.poison) THEN
            PERFORM nextval('public.attacks');
            RAISE EXCEPTION 'the host refuses %', to_jsonb(NEW) ->> TG_ARGV[0] USING ERRCODE = '23514';
        END IF;
        RETURN NEW;
    END $$ LANGUAGE plpgsql;
    TRUNCATE public.poison;
    ALTER SEQUENCE public.attacks RESTART;";

/// `places` are tables with the column whose value is refused.
pub async fn of_one(
    harness: &Harness,
    variant: &Variant,
    cell: &str,
    places: &[(&str, &str)],
) -> Cell {
    if variant.operation.method == "archive" {
        return Cell::CannotApply("a page of an archive is stored as a whole");
    }
    let pool = &harness.db.pool;
    let poisoned = harness.prepare(variant).await;
    let mut arm = FUNCTIONS.to_owned();
    for (table, column) in places {
        arm += &format!(
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON optilock.{table}
                FOR EACH ROW EXECUTE FUNCTION public.refuse('{column}');"
        );
    }
    run(pool, arm).await;
    sqlx::query("INSERT INTO public.poison SELECT unnest($1::text[])")
        .bind(poisoned.fixture.names())
        .execute(pool)
        .await
        .unwrap();
    let answer = harness.attempt(variant, &poisoned.fixture, cell).await;
    harness.judge(variant, &poisoned, Some(&answer), cell).await;
    let fired: bool = sqlx::query_scalar("SELECT is_called FROM public.attacks")
        .fetch_one(pool)
        .await
        .unwrap();
    match &answer {
        Answer::NothingToDo => assert!(variant.operation.is_cleanup() && fired, "{cell}"),
        Answer::NotDone(_) => {
            let explained =
                answer.is_refused("database") && answer.text().contains("the host refuses");
            assert!(
                explained && fired && !variant.operation.is_cleanup(),
                "{cell}: {answer:?}"
            );
        }
        other => assert!(other.is_done() && !fired, "{cell}: {other:?}"),
    }
    // Operations on other rows still work.
    harness
        .expect_done(variant, &format!("{cell}, on another"))
        .await;
    let mut disarm = "TRUNCATE public.poison;".to_owned();
    for (table, _) in places {
        disarm += &format!("DROP TRIGGER refuse ON optilock.{table};");
    }
    run(pool, disarm).await;
    if !fired {
        return Cell::CannotApply("it writes no such row");
    }
    // The refused operation works after the trigger is gone.
    let answer = harness.attempt(variant, &poisoned.fixture, cell).await;
    harness.judge(variant, &poisoned, Some(&answer), cell).await;
    assert!(answer.is_done(), "{cell}: {answer:?} without the trigger");
    Cell::Passed
}
