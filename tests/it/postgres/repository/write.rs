//! Writes of one row: what the test suites of ActiveRecord (locking), Ecto (optimistic_lock), SQLAlchemy
//! (version_id_col) and Hibernate (@Version) ask of a versioned row, and what happens in transactions.

mod delete;
mod in_transaction;
mod insert;
mod suppressed;
mod update;
mod version;
