//! The guide says what is so.

pub mod blocks;
mod book;
mod cheat_sheet;
mod errors;
mod quick_start;
