use crate::postgres;

/// What an inventory failed with: see [`Error::kind`](super::Error::kind).
///
/// A kind that [`postgres::ErrorKind`] has too means the same there, with the same [`code`](Self::code) and
/// [`http_status`](Self::http_status).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's version is no longer the current one: read again and decide again.
    Conflict,
    /// The database aborted the transaction in favour of another one. The current version is unknown: read
    /// again in a new transaction.
    Serialization,
    /// The product, order, reservation or row does not exist, or the product is retired.
    NotFound,
    /// The SKU, or the key of a row, is in use.
    AlreadyExists,
    /// Fewer units are available than requested: see [`Error::shortages`](super::Error::shortages).
    InsufficientStock,
    /// The order has fewer units left than are to be returned: see
    /// [`Error::shortages`](super::Error::shortages).
    ReturnExceedsOrder,
    /// The price is no longer the one that the buyer saw: see
    /// [`Error::price_change`](super::Error::price_change).
    PriceChanged,
    /// The count is below what reservations hold: release them first, or count again.
    StockHeld,
    /// The sale of the product is [paused](crate::inventory::Inventory::pause).
    ProductPaused,
    /// A trigger or a row-level policy swallowed a part of the write, or changed it.
    /// Nothing is stored.
    Suppressed,
    /// The request itself can't be right.
    Invalid,
    /// The id or the key was used before, by another request.
    IdempotencyMismatch,
    /// The step does not begin in the state of the order.
    InvalidOrderState,
    /// The reservation was released or used up by an order, or it has expired and can't be extended.
    ReservationClosed,
    /// The order, reservation or adjustment was [archived](crate::inventory::PgInventory::archive): it took effect, and
    /// its rows were handed to the archive.
    Archived,
    /// Rows of the host's own: see [`postgres::ErrorKind::RepeatedId`](crate::postgres::ErrorKind::RepeatedId).
    RepeatedId,
    /// Rows of the host's own: see
    /// [`postgres::ErrorKind::TooManyRows`](crate::postgres::ErrorKind::TooManyRows).
    TooManyRows,
    /// Rows of the host's own: see
    /// [`postgres::ErrorKind::VersionExhausted`](crate::postgres::ErrorKind::VersionExhausted).
    VersionExhausted,
    /// Rows of the host's own: see
    /// [`postgres::ErrorKind::SchemaMismatch`](crate::postgres::ErrorKind::SchemaMismatch).
    SchemaMismatch,
    /// The database is overloaded or away, too many requests wait for it, it failed a moment ago, or the
    /// process is about to end. Nothing happened: try again later.
    Busy,
    /// The operation may have taken effect: read the order (or the product) before another attempt.
    Unknown,
    /// The host's own [hook](crate::inventory::OnAccepted) failed, and the sale was undone.
    Hook,
    /// The ledger has a row for the version that this write gave the product: other code set the version back.
    /// Nothing is stored, and another attempt fails in the same way.
    /// [`audit`](crate::inventory::Inventory::audit) names the product: set its version to that of its last
    /// movement.
    VersionSetBack,
    /// The database refused for a reason that another attempt meets again.
    Database,
}

impl ErrorKind {
    /// All kinds.
    pub const ALL: &'static [Self] = &[
        Self::Conflict,
        Self::Serialization,
        Self::NotFound,
        Self::AlreadyExists,
        Self::InsufficientStock,
        Self::ReturnExceedsOrder,
        Self::PriceChanged,
        Self::StockHeld,
        Self::ProductPaused,
        Self::Suppressed,
        Self::Invalid,
        Self::IdempotencyMismatch,
        Self::InvalidOrderState,
        Self::ReservationClosed,
        Self::Archived,
        Self::RepeatedId,
        Self::TooManyRows,
        Self::VersionExhausted,
        Self::SchemaMismatch,
        Self::Busy,
        Self::Unknown,
        Self::Hook,
        Self::VersionSetBack,
        Self::Database,
    ];

    /// Returns a stable name in kebab case, for clients and logs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Conflict | Self::Serialization => "conflict",
            Self::NotFound => "not-found",
            Self::AlreadyExists => "already-exists",
            Self::InsufficientStock => "insufficient-stock",
            Self::ReturnExceedsOrder => "return-exceeds-order",
            Self::PriceChanged => "price-changed",
            Self::StockHeld => "stock-held",
            Self::ProductPaused => "product-paused",
            Self::Suppressed => "suppressed",
            Self::Invalid => "invalid",
            Self::IdempotencyMismatch => "idempotency-mismatch",
            Self::InvalidOrderState => "invalid-order-state",
            Self::ReservationClosed => "reservation-closed",
            Self::Archived => "archived",
            Self::RepeatedId => "repeated-id",
            Self::TooManyRows => "too-many-rows",
            Self::VersionExhausted => "version-exhausted",
            Self::SchemaMismatch => "schema-mismatch",
            Self::Busy => "busy",
            Self::Unknown => "unknown-outcome",
            Self::Hook => "hook",
            Self::VersionSetBack => "version-set-back",
            Self::Database => "database",
        }
    }

    /// Returns the HTTP status (RFC 9110) with the same meaning for a client.
    ///
    /// | Status | Kind |
    /// |---|---|
    /// | 400 | `Invalid`, `InsufficientStock`, `RepeatedId`, `TooManyRows` |
    /// | 404 | `NotFound` |
    /// | 409 | `Conflict`, `Serialization`, `AlreadyExists`, `PriceChanged`, `ProductPaused`, `StockHeld`, `InvalidOrderState`, `ReservationClosed`, `ReturnExceedsOrder` |
    /// | 410 | `Archived` |
    /// | 422 | `IdempotencyMismatch` |
    /// | 503 | `Busy`, `Unknown` |
    /// | 500 | all others; for `Hook` see [`Error::http_status`](super::Error::http_status) |
    #[must_use]
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid | Self::InsufficientStock | Self::RepeatedId | Self::TooManyRows => 400,
            Self::NotFound => 404,
            Self::Conflict
            | Self::Serialization
            | Self::AlreadyExists
            | Self::PriceChanged
            | Self::ProductPaused
            | Self::StockHeld
            | Self::ReturnExceedsOrder
            | Self::InvalidOrderState
            | Self::ReservationClosed => 409,
            Self::Archived => 410,
            Self::IdempotencyMismatch => 422,
            Self::Busy | Self::Unknown => 503,
            Self::Suppressed
            | Self::VersionExhausted
            | Self::SchemaMismatch
            | Self::Hook
            | Self::VersionSetBack
            | Self::Database => 500,
        }
    }
}

impl From<postgres::ErrorKind> for ErrorKind {
    fn from(kind: postgres::ErrorKind) -> Self {
        match kind {
            postgres::ErrorKind::Conflict => Self::Conflict,
            postgres::ErrorKind::Serialization => Self::Serialization,
            postgres::ErrorKind::NotFound => Self::NotFound,
            postgres::ErrorKind::AlreadyExists => Self::AlreadyExists,
            postgres::ErrorKind::Suppressed => Self::Suppressed,
            postgres::ErrorKind::RepeatedId => Self::RepeatedId,
            postgres::ErrorKind::TooManyRows => Self::TooManyRows,
            postgres::ErrorKind::IdempotencyMismatch => Self::IdempotencyMismatch,
            postgres::ErrorKind::Invalid => Self::Invalid,
            postgres::ErrorKind::VersionExhausted => Self::VersionExhausted,
            postgres::ErrorKind::SchemaMismatch => Self::SchemaMismatch,
            postgres::ErrorKind::Busy => Self::Busy,
            postgres::ErrorKind::Unknown => Self::Unknown,
            postgres::ErrorKind::Database => Self::Database,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_floors_give_a_kind_the_same_code_and_status() {
        for &kind in postgres::ErrorKind::ALL {
            let same = ErrorKind::from(kind);
            assert_eq!(same.code(), kind.code());
            assert_eq!(same.http_status(), kind.http_status(), "{kind:?}");
        }
    }

    #[test]
    fn only_conflicts_share_a_code() {
        let mut codes: Vec<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), ErrorKind::ALL.len() - 1);
    }
}
