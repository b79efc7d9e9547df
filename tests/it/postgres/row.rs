//! The description of a row type and its table.

mod child_trigger;
mod compile_errors;
mod composite_ids;
mod declarations;
mod existing_table;
mod integer_versions;
pub mod kiln;
mod types;
