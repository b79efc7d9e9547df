//! An isolation level, as the checker knows it, and the anomalies that a history has below it.

use std::time::Duration;

use adya::{Opts, Report, Valid, Workload, check, list_append, model};

use super::history::History;

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Level {
    /// No dirty write, aborted read, intermediate read or cyclic information flow (G0, G1a, G1b, G1c).
    ReadCommitted,
    /// Nor a lost update or a cycle with one missed write (G-single). PostgreSQL calls it REPEATABLE READ.
    SnapshotIsolation,
    /// Nor write skew (G2-item): no anomaly of transactions that name what they read.
    Serializable,
    /// Serializable in an order in which no transaction follows one that began after its end.
    StrictSerializable,
}

impl Level {
    const fn model(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read-committed",
            Self::SnapshotIsolation => "snapshot-isolation",
            Self::Serializable => "serializable",
            Self::StrictSerializable => "strict-serializable",
        }
    }

    /// Returns the names of the anomalies that this level excludes and the history has.
    pub fn anomalies_of(self, history: &History) -> Vec<String> {
        self.report(history).anomaly_types
    }

    /// Records histories until one has an anomaly that this level excludes, and returns their names. A load without
    /// any anomaly proves nothing at the levels that permit none.
    pub async fn found_in(self, record: impl AsyncFn() -> History) -> Vec<String> {
        for _ in 0..5 {
            let found = self.anomalies_of(&record().await);
            if !found.is_empty() {
                return found;
            }
        }
        panic!("five histories without an anomaly that {self:?} excludes");
    }

    /// Asserts that the history has no anomaly that this level excludes.
    #[track_caller]
    pub fn assert_holds(self, history: &History) {
        let report = self.report(history);
        let found = report.anomalies.values().filter_map(|found| found.first());
        let found: Vec<&str> = found.map(|anomaly| anomaly.explanation.as_str()).collect();
        assert!(
            found.is_empty(),
            "{self:?} excludes {:?}:\n{}",
            report.anomaly_types,
            found.join("\n")
        );
    }

    /// Checks the history, and panics if the checker reached no verdict.
    #[track_caller]
    fn report(self, history: &History) -> Report {
        // The checker finds nothing against a model that it does not know.
        assert!(model::canonical(self.model()).is_some(), "{self:?}");
        let options = Opts {
            models: vec![self.model().to_owned()],
            timeout: Duration::from_secs(60),
            ..Opts::default()
        };
        let report = check(&history.checked(), Workload::ListAppend, &options);
        let judged = report.valid != Valid::Unknown
            && !report.anomalies.contains_key("cycle-search-timeout");
        assert!(judged, "the checker reached no verdict: {report:?}");
        assert_eq!(report.valid == Valid::True, report.anomalies.is_empty());
        report
    }
}

/// Returns the number of dependencies between transactions that the checker infers.
pub fn dependencies(history: &History) -> usize {
    let checked = history.checked();
    let graph = list_append::analyze(&checked)
        .data
        .expect("a valid history");
    let graph = graph.finish(checked.ops.len());
    graph.adj.iter().map(Vec::len).sum()
}
