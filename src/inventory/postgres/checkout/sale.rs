use crate::inventory::{
    model::Checkout,
    postgres::{executor::Executor, hook::Effects, strategy::Strategy},
};

/// A checkout with the settings of its inventory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sale<'a> {
    pub(crate) executor: &'a Executor,
    pub(crate) strategy: Strategy,
    pub(crate) effects: &'a Effects,
    pub(crate) request: &'a Checkout,
}
