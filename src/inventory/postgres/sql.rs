//! The statements of the inventory. Each is a file beside the functions that send it.
//!
//! Two forms are correct when other transactions write the same row: a guard in the `WHERE` of the `UPDATE`
//! itself, with relative values ([`checkout::SELL_ONE`]); and a materialized CTE that locks, on which every
//! decision is based, with an `UPDATE` that joins by key alone and sets the decided values (all others). A
//! guard on the target row behind a locking CTE would read the old snapshot.
//!
//! A trigger or a policy may suppress or change a write. So every write returns its rows, and the last `SELECT`
//! of every statement compares their number and their values with the intended ones, usually the CTE `target`.
//! If they differ, it casts a text that names the first such table to a boolean, which fails the statement. The
//! number in that text is a bigint of a row: a constant would be cast when the statement is planned.
//!
//! Another role may own functions and operators in a schema of the search path, and those whose argument types
//! match better than the ones of `pg_catalog` would be called. So every function is qualified (except `unnest`
//! of several arrays, which the grammar itself resolves), and every operator has operands of types for which
//! `pg_catalog` has an operator.
//!
//! Locks are taken in one order: existing orders, by id; the reservation; products by SKU, retired ones
//! included; the holds of those products, by SKU and reservation. Rows that the request itself inserts come
//! after the products. Entries of the outbox, by transaction and order, are locked by the statement that deletes
//! them, and by no other.
//!
//! Beside an id, a condition must not imply the predicate of a partial index: `status < 2` instead of
//! `status IN (0, 1)`, of which the planner cannot know that it means the same. While such an index is small, the
//! planner may prefer it to the primary key, and it keeps the plan while the index grows: then each execution reads
//! all of it.
//!
//! A number of an order's status, a hold's state or a movement's kind is followed by a comment with its name.

pub(crate) mod archive;
pub(crate) mod checkout;
pub(crate) mod cleanup;
pub(crate) mod column;
pub(crate) mod executor;
pub(crate) mod ledger;
pub(crate) mod orders;
pub(crate) mod outbox;
pub(crate) mod products;
pub(crate) mod reservations;
pub(crate) mod statement;

/// The statements of this folder, by module.
pub(crate) const ALL: [(&str, &[statement::Statement]); 9] = [
    ("archive", archive::ALL),
    ("checkout", checkout::ALL),
    ("cleanup", cleanup::ALL),
    ("executor", executor::ALL),
    ("ledger", ledger::ALL),
    ("orders", orders::ALL),
    ("outbox", outbox::ALL),
    ("products", products::ALL),
    ("reservations", reservations::ALL),
];
