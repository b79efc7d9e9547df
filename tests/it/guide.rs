//! The guide says what is so.

mod book;
mod cheat_sheet;
mod errors;
mod quick_start;
