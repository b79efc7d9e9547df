use std::{fmt::Display, io, time::Duration};

use super::{
    HoldState, Money, OrderId, OrderStatus, Product, ReservationId, Shortage, Sku, shortage::list,
};
use crate::{
    Class, Classify, Conflict, RetryError, StopReason, Version, Versioned,
    postgres::{
        self, OfSqlx, Phase, advice, class_in, class_of_busy, class_of_unknown, is_cancelled,
        is_ledger_key, is_lock_timeout, is_of_statement, is_out_of_range, is_refused_row,
        is_unique_violation, suppressed_table,
    },
};

/// The error of a host's own hook. Its [class](crate::Classify) is looked up through its sources: a
/// conflict is tried again with the sale, anything else refuses it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why an inventory did not do what it was asked.
///
/// [`http_status`](Self::http_status) and [`code`](Self::code) translate it for clients; predicates
/// such as [`is_conflict`](Self::is_conflict) look through [`Exhausted`](Self::Exhausted).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller's version is no longer the current one: read again and decide again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// A conflict whose current version can't be known: the database aborted the transaction.
    #[error("another transaction won")]
    Serialization(#[source] sqlx::Error),
    /// There is no such product or order, or the product is retired.
    #[error("no {entity} {id}")]
    NotFound {
        /// What was looked for.
        entity: &'static str,
        /// Under which id.
        id: String,
    },
    /// The SKU is in use.
    #[error("{entity} {id} is there already")]
    AlreadyExists {
        /// What is there.
        entity: &'static str,
        /// Under which id.
        id: String,
    },
    /// Fewer units are available than asked for: every line that is short, sorted by SKU.
    #[error("insufficient stock: {}", list(.0))]
    InsufficientStock(Vec<Shortage>),
    /// More units than the order has left to return: every line that asks for too many, sorted by SKU.
    #[error("more than the order has left: {}", list(.0))]
    ReturnExceedsOrder(Vec<Shortage>),
    /// The price is no longer the one the buyer saw.
    #[error("the price of {sku} changed from {expected} to {actual}")]
    PriceChanged {
        /// The product.
        sku: Sku,
        /// The price the caller expected.
        expected: Money,
        /// The price now.
        actual: Money,
    },
    /// A count below what reservations hold: release them first, or count again.
    #[error("{sku} can't be counted at {counted}: {reserved} are reserved")]
    StockHeld {
        /// The product.
        sku: Sku,
        /// The count refused.
        counted: i64,
        /// Units held by reservations.
        reserved: i64,
    },
    /// The sale of the product is [paused](crate::inventory::Inventory::pause).
    #[error("the sale of {sku} is paused")]
    ProductPaused {
        /// The product.
        sku: Sku,
    },
    /// A trigger or a row-level policy on the crate's tables swallowed a part of the write, or changed it;
    /// nothing was stored.
    #[error("the write of {entity} {id} was suppressed by a trigger or a policy{}", match table {
        Some(table) => format!(" of the table {table}"),
        None => String::new(),
    })]
    Suppressed {
        /// What was not written.
        entity: &'static str,
        /// Under which id.
        id: String,
        /// The table whose row was suppressed or changed, if that is known.
        table: Option<String>,
    },
    /// The request itself can't be right.
    #[error("{what} {why}")]
    Invalid {
        /// Which part of it.
        what: &'static str,
        /// What is wrong with that part.
        why: String,
    },
    /// The id was used before, by another request.
    #[error("{entity} {id} was made by another request")]
    IdempotencyMismatch {
        /// What the id names.
        entity: &'static str,
        /// The id.
        id: String,
    },
    /// The order's state does not allow it.
    #[error("order {id} is {status}")]
    InvalidOrderState {
        /// The order.
        id: OrderId,
        /// Where it stands.
        status: OrderStatus,
    },
    /// The reservation was released, or used up by an order; or it has run out and can't be extended.
    #[error("reservation {id} is {state}")]
    ReservationClosed {
        /// The reservation.
        id: ReservationId,
        /// What became of it.
        state: HoldState,
    },
    /// It may or may not have taken effect: ask for the order (or the product) before trying again.
    #[error("it is unknown whether it took effect")]
    Unknown(#[source] Box<Error>),
    /// The database is overloaded or away, too many requests wait for it already, it failed a moment ago, or
    /// this process is about to end; and nothing happened: try again later.
    #[error("{}", match (source, retry_after) {
        (Some(_), _) => "the database is busy",
        (None, Some(_)) => "the inventory is overloaded, or failed a moment ago",
        (None, None) => "no more checkouts are taken",
    })]
    Busy {
        /// When to try again, if that is known.
        retry_after: Option<Duration>,
        /// What the database said, if it was asked.
        #[source]
        source: Option<sqlx::Error>,
    },
    /// Every attempt that the policy allows has failed.
    #[error("gave up after {attempts} attempt{} in {elapsed:.1?}: {reason}", if *attempts == 1 { "" } else { "s" })]
    Exhausted {
        /// How many attempts were made.
        attempts: u32,
        /// Time since the start of the first attempt.
        elapsed: Duration,
        /// Which bound of the policy ended it.
        reason: StopReason,
        /// The last attempt's error.
        source: Box<Error>,
    },
    /// The host's own [hook](crate::inventory::OnAccepted) failed, and the sale was undone.
    #[error("the hook failed for order {id}")]
    Hook {
        /// The order that was not made.
        id: OrderId,
        /// What the hook said.
        #[source]
        source: BoxError,
    },
    /// The ledger has a row for the version that this write gave the product: code other than the crate's
    /// set the version back. No retry helps, and nothing was stored. [`audit`](crate::inventory::Inventory::audit) names
    /// the product: set its version to that of its last movement.
    #[error(
        "the ledger already has a row for the product's next version: its version was set back by other code; \
         run audit, and set the version to that of the product's last movement"
    )]
    VersionSetBack(#[source] sqlx::Error),
    /// The database refused for a reason that no retry mends.
    #[error("{}", advice(.0))]
    Database(#[source] sqlx::Error),
}

impl Error {
    pub(crate) fn invalid(what: &'static str, why: impl Into<String>) -> Self {
        Self::Invalid {
            what,
            why: why.into(),
        }
    }

    pub(crate) fn total_too_large() -> Self {
        Self::invalid("checkout", "has a total beyond the largest amount")
    }

    pub(crate) fn out_of_range() -> Self {
        Self::invalid(
            "request",
            "takes a total, a stock or a version beyond the largest number",
        )
    }

    /// The database was not asked: too many requests wait for it, or it failed a moment ago; without a time,
    /// no request is taken any more.
    pub(crate) const fn not_asked(retry_after: Option<Duration>) -> Self {
        let source = None;
        Self::Busy {
            retry_after,
            source,
        }
    }

    pub(crate) fn not_found(entity: &'static str, id: impl Display) -> Self {
        let id = id.to_string();
        Self::NotFound { entity, id }
    }

    pub(crate) fn no_product(sku: &Sku) -> Self {
        Self::not_found(Product::ENTITY, sku)
    }

    /// Everything fitted, and nothing was written.
    pub(crate) fn suppressed(entity: &'static str, id: impl Display) -> Self {
        Self::Suppressed {
            entity,
            id: id.to_string(),
            table: None,
        }
    }

    /// The same, where it is known which table's row is missing.
    pub(crate) fn suppressed_in(
        table: &'static str,
        entity: &'static str,
        id: impl Display,
    ) -> Self {
        Self::Suppressed {
            entity,
            id: id.to_string(),
            table: Some(format!("optilock.{table}")),
        }
    }

    /// The id, or the key that names it, is that of another request.
    pub(crate) fn another_request(
        entity: &'static str,
        id: impl Display,
        key: Option<&str>,
    ) -> Self {
        let (entity, id) = match key {
            Some(key) => ("idempotency key", key.to_owned()),
            None => (entity, id.to_string()),
        };
        Self::IdempotencyMismatch { entity, id }
    }

    pub(crate) fn conflict(sku: &Sku, expected: Version, actual: Version) -> Self {
        Conflict::new(Product::ENTITY, sku.as_str(), expected, actual).into()
    }

    /// An sqlx error of a statement that could not yet take effect: a read, or one before `COMMIT`.
    pub(crate) fn before(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Before)
    }

    /// An sqlx error of a statement that writes one of our own keys: taken, another attempt or
    /// another process has stored it, and the next attempt will find it.
    pub(crate) fn own_key(error: sqlx::Error) -> Self {
        if is_ledger_key(&error) {
            Self::VersionSetBack(error)
        } else if is_unique_violation(&error) {
            Self::Serialization(error)
        } else {
            error.into()
        }
    }

    /// An sqlx error of a statement that asserts what it wrote.
    pub(crate) fn of_several(error: sqlx::Error, entity: &'static str, id: impl Display) -> Self {
        if let Some(table) = suppressed_table(&error) {
            Self::Suppressed {
                entity,
                id: id.to_string(),
                table: Some(format!("optilock.{table}")),
            }
        } else {
            Self::own_key(error)
        }
    }

    fn of(error: sqlx::Error, phase: Phase) -> Self {
        match class_in(&error, phase) {
            Class::Conflict => Self::Serialization(error),
            Class::Busy { retry_after } => Self::Busy {
                retry_after,
                source: Some(error),
            },
            Class::Unknown => Self::Unknown(Box::new(Self::Database(error))),
            Class::Permanent if is_out_of_range(&error) => Self::out_of_range(),
            Class::Permanent if is_ledger_key(&error) => Self::VersionSetBack(error),
            Class::Permanent => Self::Database(error),
        }
    }

    /// The same, of what came after something had been written and committed: whatever it says of itself,
    /// it must not say that nothing happened.
    pub(crate) fn after(self, wrote: bool) -> Self {
        match self {
            error if wrote && !error.is_unknown() => Self::Unknown(Box::new(error)),
            error => error,
        }
    }

    /// The same, where the phase of a transaction knows better than the error itself: one that was
    /// lost before `COMMIT` did nothing.
    pub(crate) fn settled(self, class: Class) -> Self {
        match (self, class) {
            (Self::Unknown(source), Class::Busy { retry_after }) => match *source {
                Self::Database(source) => Self::Busy {
                    retry_after,
                    source: Some(source),
                },
                other => other,
            },
            (error, _) => error,
        }
    }

    /// The error that counts: the last attempt's, if retries were exhausted.
    #[must_use]
    fn root(&self) -> &Self {
        match self {
            Self::Exhausted { source, .. } => source.root(),
            other => other,
        }
    }

    /// Somebody else won.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self.root() {
            Self::Conflict(_) | Self::Serialization(_) => true,
            Self::Hook { source, .. } => source.class() == Class::Conflict,
            _ => false,
        }
    }

    /// There is no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.root(), Self::NotFound { .. })
    }

    /// Some line is short.
    #[must_use]
    pub fn is_insufficient_stock(&self) -> bool {
        matches!(self.root(), Self::InsufficientStock(_))
    }

    /// It may or may not have taken effect.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        match self.root() {
            Self::Unknown(_) => true,
            Self::Hook { source, .. } => source.class() == Class::Unknown,
            _ => false,
        }
    }

    /// The error of sqlx's, if there is one.
    #[must_use]
    pub fn as_sqlx(&self) -> Option<&sqlx::Error> {
        match self.root() {
            Self::Serialization(source) | Self::Database(source) | Self::VersionSetBack(source) => {
                Some(source)
            }
            Self::Busy { source, .. } => source.as_ref(),
            Self::Unknown(source) => source.as_sqlx(),
            _ => None,
        }
    }

    /// The database was busy; nothing happened.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        match self.root() {
            Self::Busy { .. } => true,
            Self::Hook { source, .. } => matches!(source.class(), Class::Busy { .. }),
            _ => false,
        }
    }

    /// Somebody else holds the lock for longer than the statement waits.
    pub(crate) fn is_lock_timeout(&self) -> bool {
        matches!(self, Self::Busy { source: Some(source), .. } if is_lock_timeout(source))
    }

    /// The database refused what was to be written, of which another part may be accepted.
    pub(crate) fn is_refused_row(&self) -> bool {
        match self.root() {
            Self::Suppressed { .. } | Self::Invalid { .. } => true,
            Self::Database(source) | Self::Serialization(source) => is_refused_row(source),
            _ => false,
        }
    }

    /// The server refused the statement, and goes on.
    pub(crate) fn is_of_statement(&self) -> bool {
        !self.is_unknown() && self.as_sqlx().is_some_and(is_of_statement)
    }

    /// Another attempt may succeed, or may find that this one did.
    pub(crate) fn is_retried(&self) -> bool {
        self.class() != Class::Permanent
    }

    /// The statement was cancelled, perhaps as it took too long.
    pub(crate) fn is_cancelled(&self) -> bool {
        matches!(self.root(), Self::Database(source) if is_cancelled(source))
    }

    /// The HTTP status (RFC 9110) that tells a client the same.
    ///
    /// | Status | Error |
    /// |---|---|
    /// | 400 | `Invalid`, `InsufficientStock` |
    /// | 404 | `NotFound` |
    /// | 409 | `Conflict`, `Serialization`, `AlreadyExists`, `PriceChanged`, `ProductPaused`, `StockHeld`, `InvalidOrderState`, `ReservationClosed`, `ReturnExceedsOrder`, and `Exhausted` by conflicts |
    /// | 422 | `IdempotencyMismatch` |
    /// | 503 | `Busy`, `Unknown`, and `Exhausted` by a busy database |
    /// | 500 | everything else; `Hook` by what it failed with: 409 a conflict, 503 a busy database |
    #[must_use]
    pub fn http_status(&self) -> u16 {
        match self.root() {
            Self::Hook { source, .. } => match source.class() {
                Class::Conflict => 409,
                Class::Busy { .. } | Class::Unknown => 503,
                Class::Permanent => 500,
            },
            Self::Invalid { .. } | Self::InsufficientStock(_) => 400,
            Self::NotFound { .. } => 404,
            Self::Conflict(_)
            | Self::Serialization(_)
            | Self::AlreadyExists { .. }
            | Self::PriceChanged { .. }
            | Self::ProductPaused { .. }
            | Self::StockHeld { .. }
            | Self::ReturnExceedsOrder(_)
            | Self::InvalidOrderState { .. }
            | Self::ReservationClosed { .. } => 409,
            Self::IdempotencyMismatch { .. } => 422,
            Self::Busy { .. } | Self::Unknown(_) => 503,
            Self::Suppressed { .. }
            | Self::VersionSetBack(_)
            | Self::Exhausted { .. }
            | Self::Database(_) => 500,
        }
    }

    /// A stable name in kebab case, for clients and logs. That of the last attempt's error, if
    /// retries were exhausted.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self.root() {
            Self::Conflict(_) | Self::Serialization(_) => "conflict",
            Self::NotFound { .. } => "not-found",
            Self::AlreadyExists { .. } => "already-exists",
            Self::InsufficientStock(_) => "insufficient-stock",
            Self::PriceChanged { .. } => "price-changed",
            Self::ProductPaused { .. } => "product-paused",
            Self::StockHeld { .. } => "stock-held",
            Self::ReturnExceedsOrder(_) => "return-exceeds-order",
            Self::Suppressed { .. } => "suppressed",
            Self::Invalid { .. } => "invalid",
            Self::IdempotencyMismatch { .. } => "idempotency-mismatch",
            Self::InvalidOrderState { .. } => "invalid-order-state",
            Self::ReservationClosed { .. } => "reservation-closed",
            Self::Unknown(_) => "unknown-outcome",
            Self::Busy { .. } => "busy",
            Self::Exhausted { .. } => "exhausted",
            Self::Hook { .. } => "hook",
            Self::VersionSetBack(_) => "version-set-back",
            Self::Database(_) => "database",
        }
    }
}

/// As for a statement that commits by itself: see [`Classify`] for [`sqlx::Error`].
impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::of(error, Phase::Commit)
    }
}

/// What an operation on versioned rows of the host's own says, in a transaction with the inventory's.
impl From<postgres::Error> for Error {
    fn from(error: postgres::Error) -> Self {
        use postgres::Error as Row;
        match error {
            Row::Conflict(conflict) => Self::Conflict(conflict),
            Row::Serialization(source) => Self::Serialization(source),
            Row::NotFound { entity, id } => Self::NotFound { entity, id },
            Row::AlreadyExists { entity, id, .. } => Self::AlreadyExists { entity, id },
            Row::Suppressed { entity, id } => Self::suppressed(entity, id),
            Row::Busy {
                retry_after,
                source,
            } => Self::Busy {
                retry_after,
                source: Some(source),
            },
            Row::Unknown(source) => {
                let source = source
                    .downcast()
                    .map_or_else(|other| sqlx::Error::Io(io::Error::other(other)), |it| *it);
                Self::Unknown(Box::new(Self::Database(source)))
            }
            Row::Database(source) => Self::before(source),
            refused @ (Row::RepeatedId { .. }
            | Row::TooManyRows { .. }
            | Row::VersionExhausted { .. }
            | Row::SchemaMismatch { .. }) => Self::invalid("request", refused.to_string()),
        }
    }
}

impl OfSqlx for Error {
    fn before(error: sqlx::Error) -> Self {
        Self::before(error)
    }

    fn refusal(&self) -> Option<&sqlx::Error> {
        self.as_sqlx().filter(|_| !self.is_unknown())
    }
}

/// What [`transact`](crate::postgres::transact()) returns when its operation's error is this one.
impl From<RetryError<Self>> for Error {
    fn from(gave_up: RetryError<Self>) -> Self {
        let (attempts, elapsed, reason) = (gave_up.attempts, gave_up.elapsed, gave_up.reason);
        match gave_up.try_into_inner() {
            // A connection that was lost before COMMIT: known by its transaction, and not by the error.
            Ok(error) => match error.settled(Class::Busy { retry_after: None }) {
                error if reason == StopReason::Permanent => error,
                error => Self::Exhausted {
                    attempts,
                    elapsed,
                    reason,
                    source: Box::new(error),
                },
            },
            Err(unknown) if unknown.error.is_unknown() => unknown.error,
            Err(unknown) => Self::Unknown(Box::new(unknown.error)),
        }
    }
}

/// What a transaction that gave up means whose operation's errors are those of versioned rows.
impl From<RetryError<postgres::Error>> for Error {
    fn from(gave_up: RetryError<postgres::Error>) -> Self {
        gave_up.map(Self::from).into()
    }
}

/// The same, where they are sqlx's.
impl From<RetryError<sqlx::Error>> for Error {
    fn from(gave_up: RetryError<sqlx::Error>) -> Self {
        gave_up.map(Self::from).into()
    }
}

/// In a transaction of the host's own: `Conflict` and `Serialization` are worth another attempt.
impl Classify for Error {
    fn class(&self) -> Class {
        match self {
            Self::Conflict(_) | Self::Serialization(_) => Class::Conflict,
            Self::Busy {
                retry_after,
                source,
            } => match source {
                Some(source) => class_of_busy(source, *retry_after),
                None => Class::Busy {
                    retry_after: *retry_after,
                },
            },
            // By what is known of its connection where it is asked.
            Self::Unknown(source) => match &**source {
                Self::Database(source) => class_of_unknown(source),
                _ => Class::Unknown,
            },
            Self::Database(source) => source.class(),
            Self::Hook { source, .. } => source.class(),
            _ => Class::Permanent,
        }
    }
}
