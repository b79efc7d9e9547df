//! The figures of a report, for the metrics.

use super::model::Report;
use crate::metrics::Figures;

impl Figures for Report {
    fn figures(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        self.kpis.iter().map(|kpi| (kpi.kind.as_str(), kpi.value))
    }
}
