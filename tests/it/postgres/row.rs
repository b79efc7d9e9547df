//! The description of a row type and its table.

mod compile_errors;
mod declarations;
mod existing_table;
mod kiln;
mod types;
