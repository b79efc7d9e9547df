//! The methods of checkout that are compared.

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Method {
    ByHand,
    Optimistic,
    Pessimistic,
    Guarded,
    Batched,
}

impl Method {
    pub(crate) const ALL: [Self; 5] = [
        Self::ByHand,
        Self::Optimistic,
        Self::Pessimistic,
        Self::Guarded,
        Self::Batched,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ByHand => "for update by hand",
            Self::Optimistic => "optimistic",
            Self::Pessimistic => "pessimistic",
            Self::Guarded => "guarded",
            Self::Batched => "batched",
        }
    }

    /// The position in [`Self::ALL`].
    pub(super) fn index(self) -> usize {
        let position = Self::ALL.iter().position(|method| *method == self);
        position.expect("ALL holds every method")
    }
}
