//! The names of the bars.

/// A table of bars, which can be measured without the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    Checkout,
    Reserve,
    Pay,
    Sale,
    Outbox,
    Processes,
    OneCaller,
    Guarded,
    Optimistic,
    Mixed,
    Storefront,
    Schemas,
}

impl Bar {
    pub(crate) const ALL: [Self; 12] = [
        Self::Checkout,
        Self::Reserve,
        Self::Pay,
        Self::Sale,
        Self::Outbox,
        Self::Processes,
        Self::OneCaller,
        Self::Guarded,
        Self::Optimistic,
        Self::Mixed,
        Self::Storefront,
        Self::Schemas,
    ];

    /// The name on the command line, and of the database.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Reserve => "reserve",
            Self::Pay => "pay",
            Self::Sale => "sale",
            Self::Outbox => "outbox",
            Self::Processes => "processes",
            Self::OneCaller => "one_caller",
            Self::Guarded => "guarded",
            Self::Optimistic => "optimistic",
            Self::Mixed => "mixed",
            Self::Storefront => "storefront",
            Self::Schemas => "schemas",
        }
    }

    /// # Panics
    ///
    /// With all names, if this is none of them.
    pub(super) fn named(name: &str) -> Self {
        let found = Self::ALL.into_iter().find(|bar| bar.name() == name);
        found.unwrap_or_else(|| {
            let names = Self::ALL.map(Self::name);
            panic!("no bar is named {name}: {}", names.join(", "))
        })
    }
}
