//! A handwritten sale, as the reference of comparisons: one transaction with `SELECT .. FOR UPDATE` for each
//! step.
//!
//! It writes the same rows as the library, but checks only the stock: it supports one line of one unit, and
//! neither repeated ids nor repeated idempotency keys.

mod buy_reserved;
mod order;
mod pay;
mod reserve;

pub use self::buy_reserved::buy_reserved;
pub use self::order::order;
pub use self::pay::pay;
pub use self::reserve::reserve;
