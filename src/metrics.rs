//! What a dashboard and its alerts want to know, through the facade of the [metrics](https://docs.rs/metrics)
//! crate. The host installs the recorder; without one nothing is counted.
//!
//! | Name | Kind | Labels | What it counts |
//! |---|---|---|---|
//! | [`CONFLICTS`] | counter | `entity`, `outcome` | lost races: `absorbed` by a later attempt, or `escaped` to the caller |
//! | [`ATTEMPTS`] | histogram | `entity` | attempts of an operation that ended, well or not |
//! | [`UNKNOWN_OUTCOMES`] | counter | `entity` | attempts whose outcome nobody knew |
//! | [`CLEANED`] | counter | `what` | what a [`Janitor`](crate::inventory::Janitor) did: `orders` cancelled, `holds` lapsed, `units` given back, `keys` forgotten; not what one did before it failed |
//! | [`CLEANUP_FAILURES`] | counter | `what` | clean-ups of his that failed: of `orders`, `reservations` or `keys` |
//! | [`CLEANUP_REFUSED`] | counter | `what` | `orders`, products with expired holds (`reservations`) or orders with old `keys` that a clean-up of [`PgInventory`](crate::inventory::PgInventory) left, as the database refused to change them |
//! | [`KPI`] | gauge | `kpi` | the figures of the last report that [`record`] was given |
//! | [`TRANSACTION_SECONDS`] | histogram | `outcome` | seconds from `BEGIN` until the transaction was `committed`, `rolled-back` or `unknown` |
//!
//! `entity` is what was retried: the name of an operation of the inventory (`checkout`), else the
//! policy's [label](crate::RetryPolicy::with_label), else the [`ENTITY`](crate::Versioned::ENTITY) of a
//! row that `PgRepository` modified or compared alone. All of them are
//! written in the program's text, so there are as many series as there are names in it: no id ever
//! becomes a label.
//!
//! A conflict of `PgRepository::update`, or of another operation that makes one attempt, has escaped
//! as far as this crate knows. What runs within a transaction is counted by whoever runs that one.
//!
//! The first use of a label allocates its keys, for good; after that an operation that succeeds
//! allocates nothing here. Every record asks the recorder that is in force at that moment: one that is
//! installed late gets what is recorded from then on, and so does a recorder of one thread
//! ([`with_local_recorder`](https://docs.rs/metrics/latest/metrics/fn.with_local_recorder.html)).
//!
//! The share of conflicts that escaped should be near zero, and the mean of the attempts below 1.5:
//! above that, a row is in such demand that its operation should lock, or be made one statement.

#[cfg(feature = "metrics")]
mod counted;
#[cfg(not(feature = "metrics"))]
mod ignored;
#[cfg(feature = "metrics")]
mod keys;
#[cfg(feature = "metrics")]
mod names;

#[cfg(all(feature = "metrics", feature = "postgres"))]
pub(crate) use counted::transaction;
#[cfg(feature = "metrics")]
pub(crate) use counted::{attempts, conflict, unknown_outcome};
#[cfg(all(feature = "metrics", feature = "inventory"))]
pub(crate) use counted::{cleaned, cleanup_failed, cleanup_refused};
#[cfg(not(feature = "metrics"))]
pub(crate) use ignored::{attempts, conflict, unknown_outcome};
#[cfg(all(feature = "metrics", feature = "inventory"))]
#[cfg_attr(docsrs, doc(cfg(feature = "inventory")))]
pub use names::record;
#[cfg(feature = "metrics")]
pub use names::{
    ATTEMPTS, CLEANED, CLEANUP_FAILURES, CLEANUP_REFUSED, CONFLICTS, KPI, TRANSACTION_SECONDS,
    UNKNOWN_OUTCOMES, describe,
};
