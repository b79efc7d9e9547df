//! Each query of the recipe names series that the exporter has.

use std::collections::{BTreeMap, BTreeSet};

use metrics_exporter_prometheus::PrometheusRecorder;
use optilock::{
    Attempt, Conflict, RetryPolicy, Version,
    inventory::{BatchOptions, BatchedInventory, Inventory, PgInventory},
    postgres::{self, transact},
    testing::Simulated,
    with_retry,
};

use crate::support::{
    connect::current_thread,
    db::Db,
    goods::{add, cart},
};

#[path = "../../../src/guide/recipes/dashboards.rs"]
mod recipe;
use recipe::{exporter, report, start};

const TEXT: &str = include_str!("../../../src/guide/recipes/dashboards.md");

/// The names of series, with the names and values of their labels.
type Series = Vec<(String, BTreeMap<String, String>)>;

/// Does what leaves a value in each metric of the recipe, and returns what Prometheus would read.
fn recorded() -> Series {
    let recorder: PrometheusRecorder = exporter().unwrap().build_recorder();
    let handle = recorder.handle();
    let runtime = current_thread();
    metrics::with_local_recorder(&recorder, || {
        start(&["seat"]);
        runtime.block_on(work());
    });
    let text = handle.render();
    let lines = text.lines().filter(|line| line.starts_with("optilock_"));
    lines.map(series).collect()
}

async fn work() {
    let policy = RetryPolicy::new().with_label("seat").with_max_attempts(2);
    let conflict =
        async |_: Attempt| Err::<(), _>(Conflict::new("seat", 1, Version::FIRST, Version::FIRST));
    with_retry(&policy, conflict).await.unwrap_err();
    let unknown = async |_: Attempt| Err::<(), _>(postgres::Error::unknown());
    with_retry(&policy, unknown).await.unwrap_err();
    let db = Db::new().await;
    transact(&db.pool, &policy, async |_| Ok::<_, postgres::Error>(()))
        .await
        .unwrap();
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
    batched.checkout(cart(&[("pot", 1)])).await.unwrap();
    report(&shop).await.unwrap();
}

/// Parses `name{label="value",..} number`.
fn series(line: &str) -> (String, BTreeMap<String, String>) {
    let (series, _) = line.rsplit_once(' ').unwrap();
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    (name.to_owned(), labels_of(labels.trim_end_matches('}')))
}

fn labels_of(text: &str) -> BTreeMap<String, String> {
    let labels = text.split(',').filter_map(|label| label.split_once('='));
    labels
        .map(|(name, value)| {
            (
                name.trim().to_owned(),
                value.trim().trim_matches('"').to_owned(),
            )
        })
        .collect()
}

/// Returns the selectors of a query: a name, the labels by which it chooses, and those by which it sums.
fn selectors(query: &str) -> Series {
    let mut found = Vec::new();
    for part in query.split("optilock_").skip(1) {
        let end = part
            .find(|it: char| it != '_' && !it.is_ascii_lowercase())
            .unwrap_or(part.len());
        let (name, rest) = part.split_at(end);
        let labels = rest.strip_prefix('{').and_then(|it| it.split_once('}'));
        let labels = labels.map_or_else(BTreeMap::new, |(labels, _)| labels_of(labels));
        found.push((format!("optilock_{name}"), labels));
    }
    found
}

/// Returns the labels in the `by (..)` of a query.
fn grouped(query: &str) -> BTreeSet<String> {
    let groups = query.split(" by (").skip(1);
    let names = groups.flat_map(|it| it.split(')').next().unwrap().split(','));
    names.map(|name| name.trim().to_owned()).collect()
}

#[test]
fn each_query_names_series_that_exist() {
    let recorded = recorded();
    let blocks = TEXT
        .split("```promql\n")
        .skip(1)
        .map(|it| it.split("```").next().unwrap());
    // A line that is indented continues the query before it.
    let joined: Vec<String> = blocks.map(|block| block.replace("\n  ", " ")).collect();
    let queries: Vec<&str> = joined.iter().flat_map(|block| block.lines()).collect();
    assert_eq!(queries.len(), 7);
    for query in queries {
        let (selectors, grouped) = (selectors(query), grouped(query));
        assert!(!selectors.is_empty() && !grouped.is_empty(), "{query}");
        for (name, chosen) in selectors {
            let exists = recorded.iter().any(|(of, labels)| {
                *of == name
                    && chosen
                        .iter()
                        .all(|(label, value)| labels.get(label) == Some(value))
                    && grouped.iter().all(|label| labels.contains_key(label))
            });
            assert!(exists, "{name} of {query} is not among {recorded:#?}");
        }
    }
}
