use std::time::Duration;

use crate::{
    Conflict, StopReason,
    inventory::model::{
        InvalidValue, Money, OrderId, Shortage, Sku, hold_state::HoldState, id::ReservationId,
        order_status::OrderStatus, shortage::list,
    },
    postgres::{self, advice},
};

/// The error of a host's own hook. Its [class](crate::Classify) is looked up through its sources: after a conflict
/// or a busy system the sale is attempted again, any other error refuses it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Errors returned by an inventory.
///
/// [`kind`](Self::kind) says what happened and [`outcome`](Self::outcome) whether the operation may have taken
/// effect; [`code`](Self::code) and [`http_status`](Self::http_status) translate it for clients; the other
/// methods return the facts. If retries were [exhausted](Self::exhausted), all of them speak of the last
/// attempt's error.
///
/// ```
/// use optilock::inventory::{Error, ErrorKind};
///
/// fn answer(error: &Error) -> String {
///     match error.kind() {
///         ErrorKind::InsufficientStock => {
///             let short = error.shortages().iter();
///             let lines = short.map(|line| format!("{}: {} left", line.sku, line.available));
///             lines.collect::<Vec<_>>().join(", ")
///         }
///         ErrorKind::Conflict => "the product has changed, look again".to_owned(),
///         _ => format!("{}: {error}", error.code()),
///     }
/// }
/// ```
///
/// An implementation of [`Inventory`](crate::inventory::Inventory), or a test, makes errors by the functions
/// named for the kinds, such as [`Error::not_found`], and by `From<Conflict>` and `From<sqlx::Error>`.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(pub(super) Box<Repr>);

/// The facts of an [`Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum Repr {
    #[error(transparent)]
    Conflict(Conflict),
    #[error("another transaction won")]
    Serialization(#[source] sqlx::Error),
    #[error("no {entity} {id}")]
    NotFound { entity: &'static str, id: String },
    #[error("{entity} {id} already exists")]
    AlreadyExists { entity: &'static str, id: String },
    #[error("insufficient stock: {}", list(.0))]
    InsufficientStock(Vec<Shortage>),
    #[error("more than the order has left: {}", list(.0))]
    ReturnExceedsOrder(Vec<Shortage>),
    #[error("the price of {sku} changed from {expected} to {actual}")]
    PriceChanged {
        sku: Sku,
        expected: Money,
        actual: Money,
    },
    #[error("{sku} can't be counted at {counted}: {reserved} are reserved")]
    StockHeld {
        sku: Sku,
        counted: i64,
        reserved: i64,
    },
    #[error("the sale of {sku} is paused")]
    ProductPaused { sku: Sku },
    #[error("the write of {entity} {id} was suppressed by a trigger or a policy{}", match table {
        Some(table) => format!(" of the table {table}"),
        None => String::new(),
    })]
    Suppressed {
        entity: &'static str,
        id: String,
        table: Option<String>,
    },
    #[error(transparent)]
    Invalid(InvalidValue),
    #[error("{entity} {id} was made by another request")]
    IdempotencyMismatch { entity: &'static str, id: String },
    #[error("order {id} is {status}")]
    InvalidOrderState { id: OrderId, status: OrderStatus },
    #[error("reservation {id} is {state}")]
    ReservationClosed { id: ReservationId, state: HoldState },
    #[error("{entity} {id} was archived")]
    Archived { entity: &'static str, id: String },
    #[error("the outcome is unknown")]
    Unknown(#[source] Box<Error>),
    #[error("{}", match (source, retry_after) {
        (Some(_), _) => "the database is busy",
        (None, Some(_)) => "the inventory is overloaded, or failed a moment ago",
        (None, None) => "no more checkouts are taken",
    })]
    Busy {
        retry_after: Option<Duration>,
        #[source]
        source: Option<sqlx::Error>,
    },
    #[error("gave up after {attempts} attempt{} in {elapsed:.1?}: {reason}", if *attempts == 1 { "" } else { "s" })]
    Exhausted {
        attempts: u32,
        elapsed: Duration,
        reason: StopReason,
        source: Box<Error>,
    },
    #[error("the hook failed for order {id}")]
    Hook {
        id: OrderId,
        #[source]
        source: BoxError,
    },
    #[error(
        "the ledger already has a row for the product's next version: its version was set back by other code; \
         run audit, and set the version to that of the product's last movement"
    )]
    VersionSetBack(#[source] sqlx::Error),
    #[error("{}", advice(.0))]
    Database(#[source] sqlx::Error),
    #[error(transparent)]
    Row(postgres::Error),
}
