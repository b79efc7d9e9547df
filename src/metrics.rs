//! Metrics for dashboards and alerts, through the facade of the [metrics](https://docs.rs/metrics) crate.
//! The host installs the recorder; without one nothing is counted.
//!
//! | Name | Kind | Labels | What it counts |
//! |---|---|---|---|
//! | [`CONFLICTS`] | counter | `entity`, `outcome` | conflicts: `absorbed` by a later attempt, or `escaped` to the caller |
//! | [`ATTEMPTS`] | histogram | `entity` | attempts per operation, whether it succeeded or not |
//! | [`UNKNOWN_OUTCOMES`] | counter | `entity` | attempts whose outcome is unknown |
//! | [`CLEANED`] | counter | `what` | the work of a [`Janitor`](crate::inventory::Janitor): `orders` cancelled, `holds` expired, `units` given back, `keys` forgotten. A clean-up that fails does not count what it did before |
//! | [`CLEANUP_FAILURES`] | counter | `what` | clean-ups of a janitor that failed: of `orders`, `reservations` or `keys` |
//! | [`CLEANUP_REFUSED`] | counter | `what` | `orders`, products with expired holds (`reservations`) or orders with old `keys` that a clean-up of [`PgInventory`](crate::inventory::PgInventory) skipped, as the database refused to change them |
//! | [`QUEUE_DEPTH`] | gauge | `lane` | requests that wait for a batch of a [`BatchedInventory`](crate::inventory::BatchedInventory) |
//! | [`QUEUE_SECONDS`] | histogram | `lane` | seconds that a request waited before its batch started |
//! | [`BATCH_SIZE`] | histogram | `lane` | requests per batch |
//! | [`BATCH_SECONDS`] | histogram | `lane` | seconds from the start of a batch to its answers |
//! | [`KPI`] | gauge | `kpi` | the figures of the last report that was passed to [`record`] |
//! | [`TRANSACTION_SECONDS`] | histogram | `outcome` | seconds from `BEGIN` until the transaction was `committed`, `rolled-back` or `unknown` |
//!
//! `entity` names the operation: an operation of the inventory (`checkout`), or the policy's
//! [label](crate::RetryPolicy::with_label), or the [`ENTITY`](crate::Versioned::ENTITY) of a row that
//! `PgRepository` modified or compared outside of a transaction. The names are constants of the program, so
//! the number of series is limited. An id is never a label.
//!
//! `lane` names the queue: `stock` for requests that change stock, such as checkouts and cancellations, or `payment`.
//!
//! A conflict of `PgRepository::update`, or of another operation that makes one attempt, counts as escaped.
//! In a caller's transaction, the retry of that transaction counts.
//!
//! The first use of a label allocates its keys permanently. After that, an operation that succeeds does not
//! allocate here. Each value goes to the recorder that is installed at that moment, be it the global one or
//! that of the thread
//! ([`with_local_recorder`](https://docs.rs/metrics/latest/metrics/fn.with_local_recorder.html)).
//!
//! The share of escaped conflicts should be near zero, and the mean number of attempts below 1.5. If it is
//! higher, a row is contended: its operation should lock, or become one statement.

mod facade;
#[cfg(feature = "metrics")]
mod keys;
#[cfg(feature = "inventory")]
mod lane;
#[cfg(feature = "metrics")]
mod names;

pub(crate) use facade::*;
#[cfg(feature = "inventory")]
pub(crate) use lane::Lane;
#[cfg(feature = "metrics")]
pub use names::*;
