//! 2: a trigger swallows or alters what is written. 3: a policy does.

use std::collections::{BTreeMap, BTreeSet};

use optilock::sqlx::{self, AssertSqlSafe};
use tokio::sync::OnceCell;

use super::{Answer, Bench, Cell, Subject, books};
use crate::support::db::{pool_options, with_role};

const NOT_WRITTEN: Cell = Cell::CannotApply("it does not write that table in that way");

const TABLES: [&str; 7] = [
    "products",
    "orders",
    "order_lines",
    "holds",
    "movements",
    "reservations",
    "returns",
];

const FUNCTIONS: &str = "
    CREATE SEQUENCE IF NOT EXISTS public.attacks;
    CREATE OR REPLACE FUNCTION public.swallow() RETURNS trigger AS $$
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
            WHEN 'returns' THEN NEW.quantities := ARRAY[99];
        END CASE;
        RETURN NEW;
    END $$ LANGUAGE plpgsql;";

/// What each operation writes where nothing is in the way: seen by triggers that only count.
async fn footprint(subject: &Subject) -> &'static BTreeSet<(String, String)> {
    static FOOTPRINTS: OnceCell<BTreeMap<String, BTreeSet<(String, String)>>> =
        OnceCell::const_new();
    let all = FOOTPRINTS.get_or_init(async || {
        let bench = Bench::new().await;
        let mut sql = "CREATE TABLE public.footprint (relation text, event text);
            CREATE FUNCTION public.footprint() RETURNS trigger AS $$
            BEGIN INSERT INTO public.footprint VALUES (TG_TABLE_NAME, TG_OP); RETURN NEW; END
            $$ LANGUAGE plpgsql;"
            .to_owned();
        for table in TABLES {
            sql += &format!(
                "CREATE TRIGGER footprint BEFORE INSERT OR UPDATE ON optilock.{table}
                    FOR EACH ROW EXECUTE FUNCTION public.footprint();"
            );
        }
        let pool = &bench.db.pool;
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(pool)
            .await
            .unwrap();
        let mut all = BTreeMap::new();
        for subject in Subject::all() {
            let made = bench.case(&subject).await;
            sqlx::raw_sql("TRUNCATE public.footprint")
                .execute(pool)
                .await
                .unwrap();
            let answer = bench.attempt(&subject, &made.0, "footprint").await;
            assert!(answer.is_done(), "{}: {answer:?}", subject.name());
            let seen = "SELECT DISTINCT relation, event FROM public.footprint";
            let seen: Vec<(String, String)> = sqlx::query_as(seen).fetch_all(pool).await.unwrap();
            all.insert(subject.name(), seen.into_iter().collect());
            books::clear(pool).await;
        }
        all
    });
    &all.await[&subject.name()]
}

async fn writes(subject: &Subject, table: &str, event: &str) -> bool {
    let written = (table.to_owned(), event.to_owned());
    footprint(subject).await.contains(&written)
}

/// Nothing is stored, and the answer says by whom.
fn assert_suppressed(subject: &Subject, answer: &Answer, codes: &[&str], cell: &str) {
    let said = match answer {
        // It reports what it skipped, by an event and a metric.
        Answer::Nothing => subject.operation.is_cleanup(),
        Answer::NotDone(error) => {
            let text = answer.text();
            codes.contains(&error.code())
                && !answer
                    .class()
                    .is_some_and(|class| class != optilock::Class::Permanent)
                && (text.contains("policy") || text.contains("trigger"))
        }
        _ => false,
    };
    assert!(said, "{cell}: {answer:?}");
}

pub async fn by_trigger(
    bench: &Bench,
    subject: &Subject,
    cell: &str,
    (table, event, how): (&str, &str, &str),
) -> Cell {
    if !writes(subject, table, event).await {
        return NOT_WRITTEN;
    }
    let pool = &bench.db.pool;
    let made = bench.case(subject).await;
    let arm = format!(
        "{FUNCTIONS}
        CREATE TRIGGER swallow BEFORE {event} ON optilock.{table}
            FOR EACH ROW EXECUTE FUNCTION public.swallow('{how}');
        ALTER SEQUENCE public.attacks RESTART;"
    );
    sqlx::raw_sql(AssertSqlSafe(arm))
        .execute(pool)
        .await
        .unwrap();
    let answer = bench.attempt(subject, &made.0, cell).await;
    bench.judge(subject, &made, Some(&answer), cell).await;
    let fired: bool = sqlx::query_scalar("SELECT is_called FROM public.attacks")
        .fetch_one(pool)
        .await
        .unwrap();
    assert!(fired, "{cell}: the trigger never fired, and {answer:?}");
    assert_suppressed(subject, &answer, &["suppressed"], cell);
    let disarm = format!("DROP TRIGGER swallow ON optilock.{table}");
    sqlx::raw_sql(AssertSqlSafe(disarm))
        .execute(pool)
        .await
        .unwrap();
    Cell::Held
}

pub async fn by_policy(
    bench: &Bench,
    subject: &Subject,
    cell: &str,
    (table, event): (&str, &str),
) -> Cell {
    if !writes(subject, table, event).await {
        return NOT_WRITTEN;
    }
    let pool = &bench.db.pool;
    let made = bench.case(subject).await;
    let (allowed, codes): (_, &[&str]) = match event {
        // The server itself refuses such a row, and says by which policy.
        "INSERT" => (
            "FOR UPDATE USING (true) WITH CHECK (true)",
            &["suppressed", "database"],
        ),
        _ => ("FOR INSERT WITH CHECK (true)", &["suppressed"]),
    };
    with_role(pool, async |role| {
        let arm = format!(
            "GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA optilock TO {role};
             ALTER TABLE optilock.{table} ENABLE ROW LEVEL SECURITY;
             CREATE POLICY reading ON optilock.{table} FOR SELECT USING (true);
             CREATE POLICY writing ON optilock.{table} {allowed};"
        );
        sqlx::raw_sql(AssertSqlSafe(arm))
            .execute(pool)
            .await
            .unwrap();
        let options = bench.db.database.options();
        let options = options.username(role).password("secret");
        let own = bench.through(pool_options(2).connect_with(options).await.unwrap());
        let answer = own.attempt(subject, &made.0, cell).await;
        own.judge(subject, &made, Some(&answer), cell).await;
        assert_suppressed(subject, &answer, codes, cell);
        own.pool.close().await;
        let disarm = format!(
            "DROP POLICY reading ON optilock.{table}; DROP POLICY writing ON optilock.{table};
             ALTER TABLE optilock.{table} DISABLE ROW LEVEL SECURITY;"
        );
        sqlx::raw_sql(AssertSqlSafe(disarm))
            .execute(pool)
            .await
            .unwrap();
    })
    .await;
    Cell::Held
}
