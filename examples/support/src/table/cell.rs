use std::fmt;

/// ANSI: select graphic rendition.
const BOLD: &str = "\x1b[1m";
const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const RESET: &str = "\x1b[0m";

/// A cell of a [`Table`](super::Table): lines of text, an alignment and a style.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    right: bool,
    style: Option<&'static str>,
}

impl Cell {
    /// Returns a cell that is aligned to the left.
    pub fn new(text: impl fmt::Display) -> Self {
        Self {
            text: text.to_string(),
            right: false,
            style: None,
        }
    }

    /// Returns a cell that is aligned to the right.
    pub fn number(value: impl fmt::Display) -> Self {
        Self {
            right: true,
            ..Self::new(value)
        }
    }

    /// Colours the cell green if `good`, else red.
    #[must_use]
    pub fn good(self, good: bool) -> Self {
        Self {
            style: Some(if good { GREEN } else { RED }),
            ..self
        }
    }

    pub(super) fn bold(self) -> Self {
        Self {
            style: Some(BOLD),
            ..self
        }
    }

    pub(super) fn width(&self) -> usize {
        let widths = self.text.lines().map(|line| line.chars().count());
        widths.max().unwrap_or(0)
    }

    pub(super) fn height(&self) -> usize {
        self.text.lines().count()
    }

    /// Writes one line, padded to `width`. A line past the last is blank.
    pub(super) fn write_line(
        &self,
        f: &mut fmt::Formatter<'_>,
        line: usize,
        width: usize,
        coloured: bool,
    ) -> fmt::Result {
        let line = self.text.lines().nth(line).unwrap_or("");
        let padded = if self.right {
            format!("{line:>width$}")
        } else {
            format!("{line:<width$}")
        };
        match self.style.filter(|_| coloured) {
            Some(style) => write!(f, "{style}{padded}{RESET}"),
            None => f.write_str(&padded),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}
