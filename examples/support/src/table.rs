//! Tables for a terminal.

mod cell;

use std::fmt;
use std::io::{IsTerminal, stdout};

pub use self::cell::Cell;

/// A table in box-drawing characters: the first column is aligned to the left, numbers to the right.
#[derive(Clone, Debug)]
pub struct Table {
    header: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    coloured: bool,
}

impl Table {
    /// Creates a table without rows. A title may have several lines.
    ///
    /// The table has colours if standard output is a terminal and `NO_COLOR` is unset or empty.
    pub fn new<T: Into<Cell>>(titles: impl IntoIterator<Item = T>) -> Self {
        // https://no-color.org: set and not empty.
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            header: titles
                .into_iter()
                .map(|title| title.into().bold())
                .collect(),
            rows: Vec::new(),
            coloured: !no_color && stdout().is_terminal(),
        }
    }

    /// Adds a row. It has a cell for each title.
    pub fn add_row<T: Into<Cell>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = vec![0; self.header.len()];
        for row in std::iter::once(&self.header).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = cell.width().max(*width);
            }
        }
        widths
    }

    fn write_row(&self, f: &mut fmt::Formatter<'_>, row: &[Cell], widths: &[usize]) -> fmt::Result {
        let height = row.iter().map(Cell::height).max().unwrap_or(1);
        for line in 0..height {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                f.write_str(if column == 0 { "│ " } else { " ┆ " })?;
                cell.write_line(f, line, *width, self.coloured)?;
            }
            f.write_str(" │\n")?;
        }
        Ok(())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = self.widths();
        let rule = |[left, line, joint, right]: [&str; 4]| {
            let lines: Vec<_> = widths.iter().map(|width| line.repeat(width + 2)).collect();
            format!("{left}{}{right}", lines.join(joint))
        };
        writeln!(f, "{}", rule(["┌", "─", "┬", "┐"]))?;
        self.write_row(f, &self.header, &widths)?;
        writeln!(f, "{}", rule(["╞", "═", "╪", "╡"]))?;
        for row in &self.rows {
            self.write_row(f, row, &widths)?;
        }
        f.write_str(&rule(["└", "─", "┴", "┘"]))
    }
}
