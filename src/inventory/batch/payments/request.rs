use crate::inventory::{model::OrderStep, postgres::orders::doubt::Doubt};

/// A payment, or its failure.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) step: OrderStep,
    /// Whether a batch was sent with it, at which version.
    pub(crate) doubt: Doubt,
}

impl Request {
    pub(crate) fn new(step: OrderStep) -> Self {
        let doubt = Doubt::default();
        Self { step, doubt }
    }
}
