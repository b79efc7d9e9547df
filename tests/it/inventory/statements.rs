//! The SQL of the inventory: the names it uses, the plans it gets, the rows it writes.

pub mod hostile;
mod plans;
mod suppressed_writes;
