//! The tables of the inventory, and which of them each operation writes.

use std::collections::{BTreeMap, BTreeSet};

use optilock::sqlx;
use tokio::sync::OnceCell;

use super::{
    Cell, Harness, Variant, balances,
    matrix::{Harness as _, Variant as _},
};
use crate::support::triggers::run;

pub const TABLES: [&str; 8] = [
    "products",
    "orders",
    "order_lines",
    "holds",
    "movements",
    "reservations",
    "returns",
    "outbox",
];

pub const NOT_WRITTEN: Cell = Cell::CannotApply("it does not write that table in that way");

/// Returns what an undisturbed operation writes, as tables and events. Triggers record it once for all operations.
async fn footprint(variant: &Variant) -> &'static BTreeSet<(String, String)> {
    static FOOTPRINTS: OnceCell<BTreeMap<String, BTreeSet<(String, String)>>> =
        OnceCell::const_new();
    let all = FOOTPRINTS.get_or_init(async || {
        let harness = Harness::new().await;
        let mut sql = "CREATE TABLE public.footprint (relation text, event text);
            CREATE FUNCTION public.footprint() RETURNS trigger AS $$
            BEGIN
                INSERT INTO public.footprint VALUES (TG_TABLE_NAME, TG_OP);
                RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
            END
            $$ LANGUAGE plpgsql;"
            .to_owned();
        for table in TABLES {
            sql += &format!(
                "CREATE TRIGGER footprint BEFORE INSERT OR UPDATE OR DELETE ON optilock.{table}
                    FOR EACH ROW EXECUTE FUNCTION public.footprint();"
            );
        }
        let pool = &harness.db.pool;
        run(pool, sql).await;
        let mut all = BTreeMap::new();
        for variant in Variant::with_statements() {
            let prepared = harness.prepare(&variant).await;
            run(pool, "TRUNCATE public.footprint").await;
            let answer = harness
                .attempt(&variant, &prepared.fixture, "footprint")
                .await;
            assert!(answer.is_done(), "{}: {answer:?}", variant.name());
            let written = "SELECT DISTINCT relation, event FROM public.footprint";
            let written: Vec<(String, String)> =
                sqlx::query_as(written).fetch_all(pool).await.unwrap();
            all.insert(variant.name(), written.into_iter().collect());
            balances::clear(pool).await;
        }
        all
    });
    &all.await[&variant.name()]
}

/// Returns whether an undisturbed operation writes this table with this event.
pub async fn writes(variant: &Variant, table: &str, event: &str) -> bool {
    let written = (table.to_owned(), event.to_owned());
    footprint(variant).await.contains(&written)
}
