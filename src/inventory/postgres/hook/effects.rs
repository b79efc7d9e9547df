use super::Hook;

/// What an accepted checkout does besides writing its order, its lines and its movements.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effects {
    pub(crate) hook: Hook,
    /// Whether the statement of the sale also writes an entry of the outbox.
    pub(crate) outbox: bool,
}
