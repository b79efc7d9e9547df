use std::fmt;

#[cfg(doc)]
use super::Report;

/// A figure and its alert threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Kpi {
    /// The kind.
    pub kind: KpiKind,
    /// The value; `None` when there was nothing to measure.
    pub value: Option<f64>,
    /// The value that it should not exceed.
    pub goal: f64,
    /// The alert threshold: a larger value alerts.
    pub threshold: f64,
    /// Whether it alerts.
    pub alert: bool,
}

impl Kpi {
    /// Creates a figure of this kind.
    #[must_use]
    pub fn new(kind: KpiKind, value: Option<f64>) -> Self {
        let threshold = kind.threshold();
        Self {
            kind,
            value,
            goal: kind.goal(),
            threshold,
            alert: value.is_some_and(|value| value > threshold),
        }
    }
}

/// Formats as `conflict-rate 0.012 (goal 0.01, alert above 0.05)`.
impl fmt::Display for Kpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            value,
            goal,
            threshold,
            alert,
        } = self;
        write!(f, "{kind} ")?;
        match value {
            None => f.write_str("unknown")?,
            // A fourth digit changes no decision.
            Some(value) => write!(f, "{}", (value * 1_000.0).round() / 1_000.0)?,
        }
        write!(f, " (goal {goal}, alert above {threshold})")?;
        f.write_str(if *alert { ", ALERT" } else { "" })
    }
}

/// The kinds of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum KpiKind {
    /// The number of products with negative stock. Goal 0; alerts above that.
    NegativeStock,
    /// The share of this process's checkouts that returned a conflict, 0 to 1. Goal 0.01; alerts above 0.05. A
    /// conflict that a retry resolved does not count.
    ConflictRate,
    /// Attempts per checkout of this process. Goal 1.5; alerts above 2.5.
    MeanAttempts,
    /// The duration in seconds that 99 of 100 checkouts of this process did not exceed, at most an eighth too
    /// high. Goal 2; alerts above 5.
    CheckoutSeconds,
    /// The share of the orders created within the window whose payment failed or that were cancelled, 0 to 1.
    /// Goal 0.02; alerts above 0.1.
    FailedOrders,
}

impl KpiKind {
    /// All kinds, in the order of [`Report::kpis`].
    pub const ALL: [Self; 5] = [
        Self::NegativeStock,
        Self::ConflictRate,
        Self::MeanAttempts,
        Self::CheckoutSeconds,
        Self::FailedOrders,
    ];

    /// Returns the value that it should not exceed.
    #[must_use]
    pub const fn goal(self) -> f64 {
        match self {
            Self::NegativeStock => 0.0,
            Self::ConflictRate => 0.01,
            Self::MeanAttempts => 1.5,
            Self::CheckoutSeconds => 2.0,
            Self::FailedOrders => 0.02,
        }
    }

    /// Returns the alert threshold.
    #[must_use]
    pub const fn threshold(self) -> f64 {
        match self {
            Self::NegativeStock => 0.0,
            Self::ConflictRate => 0.05,
            Self::MeanAttempts => 2.5,
            Self::CheckoutSeconds => 5.0,
            Self::FailedOrders => 0.1,
        }
    }

    /// Returns a stable name in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NegativeStock => "negative-stock",
            Self::ConflictRate => "conflict-rate",
            Self::MeanAttempts => "mean-attempts",
            Self::CheckoutSeconds => "checkout-seconds",
            Self::FailedOrders => "failed-orders",
        }
    }
}

impl fmt::Display for KpiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_alerts_above_its_threshold_only() {
        for kind in KpiKind::ALL {
            assert!(!Kpi::new(kind, None).alert);
            assert!(!Kpi::new(kind, Some(kind.threshold())).alert);
            assert!(Kpi::new(kind, Some(kind.threshold() + 0.001)).alert);
            assert!(kind.goal() <= kind.threshold());
        }
        let text = Kpi::new(KpiKind::ConflictRate, Some(0.06)).to_string();
        assert_eq!(
            text,
            "conflict-rate 0.06 (goal 0.01, alert above 0.05), ALERT"
        );
        let text = Kpi::new(KpiKind::CheckoutSeconds, None).to_string();
        assert_eq!(text, "checkout-seconds unknown (goal 2, alert above 5)");
    }
}
