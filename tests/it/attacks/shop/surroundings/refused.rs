//! 4: the host refuses what belongs to one product, one customer, one order.

use optilock::sqlx::{self, AssertSqlSafe};

use super::{Answer, Bench, Cell, Subject};

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

/// `places`: tables, and the column that names what is refused.
pub async fn one(bench: &Bench, subject: &Subject, cell: &str, places: &[(&str, &str)]) -> Cell {
    let pool = &bench.db.pool;
    let poisoned = bench.case(subject).await;
    let mut arm = FUNCTIONS.to_owned();
    for (table, column) in places {
        arm += &format!(
            "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON optilock.{table}
                FOR EACH ROW EXECUTE FUNCTION public.refuse('{column}');"
        );
    }
    sqlx::raw_sql(AssertSqlSafe(arm))
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO public.poison SELECT unnest($1::text[])")
        .bind(poisoned.0.names())
        .execute(pool)
        .await
        .unwrap();
    let answer = bench.attempt(subject, &poisoned.0, cell).await;
    bench.judge(subject, &poisoned, Some(&answer), cell).await;
    let fired: bool = sqlx::query_scalar("SELECT is_called FROM public.attacks")
        .fetch_one(pool)
        .await
        .unwrap();
    match &answer {
        Answer::Nothing => assert!(subject.operation.is_cleanup() && fired, "{cell}"),
        Answer::NotDone(_) => {
            let said = answer.is_refused("database") && answer.text().contains("the host refuses");
            assert!(
                said && fired && !subject.operation.is_cleanup(),
                "{cell}: {answer:?}"
            );
        }
        other => assert!(other.is_done() && !fired, "{cell}: {other:?}"),
    }
    // Whatever became of that one, the others go on.
    bench
        .run_well(subject, &format!("{cell}, on another"))
        .await;
    let mut disarm = "TRUNCATE public.poison;".to_owned();
    for (table, _) in places {
        disarm += &format!("DROP TRIGGER refuse ON optilock.{table};");
    }
    sqlx::raw_sql(AssertSqlSafe(disarm))
        .execute(pool)
        .await
        .unwrap();
    if !fired {
        return Cell::CannotApply("it writes no such row");
    }
    // And it is not stuck for good.
    let answer = bench.attempt(subject, &poisoned.0, cell).await;
    bench.judge(subject, &poisoned, Some(&answer), cell).await;
    assert!(
        answer.is_done(),
        "{cell}: {answer:?} when nothing refuses any more"
    );
    Cell::Held
}
