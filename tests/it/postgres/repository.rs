//! Operations on versioned rows, one row or many in one statement.

mod assertions;
mod bulk;
mod modify;
mod read;
mod verify;
mod write;
