//! The results of all cells, and the matrix that the last group prints.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write as _,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use super::{Group, Harness, inventory, memory, postgres};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mark {
    Passed,
    /// It runs the same code as another cell, with the reason.
    SameCode(&'static str),
    /// With the reason.
    CannotApply(&'static str),
    /// Only a run that includes the ignored tests runs it.
    LeftOut,
    Known,
    Failed,
}

impl Mark {
    const fn symbol(self) -> char {
        match self {
            Self::Passed => '+',
            Self::SameCode(_) => '=',
            Self::CannotApply(_) => '.',
            Self::LeftOut => '-',
            Self::Known => 'k',
            Self::Failed => 'F',
        }
    }
}

/// A cell of the matrix.
pub struct Entry {
    pub floor: &'static str,
    pub operation: String,
    pub surrounding: &'static str,
    pub mark: Mark,
    pub took: Duration,
}

struct Results {
    began: Option<Instant>,
    entries: Vec<Entry>,
    finished: BTreeSet<(&'static str, &'static str)>,
}

static RESULTS: Mutex<Results> = Mutex::new(Results {
    began: None,
    entries: Vec::new(),
    finished: BTreeSet::new(),
});

/// Groups that are tests of their own: the server of the other groups must not be killed.
const ALONE: [(&str, &str); 2] = [
    (inventory::FLOOR, "postmaster_killed"),
    (postgres::FLOOR, "postmaster_killed"),
];

/// Starts the clock of the report.
pub fn begin() {
    let mut results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    results.began.get_or_insert_with(Instant::now);
}

pub fn record(entry: Entry) {
    let mut results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    results.entries.push(entry);
}

/// Returns whether this run includes the tests that are ignored otherwise.
fn includes_ignored() -> bool {
    std::env::args().any(|argument| argument == "--include-ignored")
}

/// Returns whether this run has the cell: two in five, always the same ones, unless the run includes the ignored tests.
pub fn is_chosen(operation: &str, surrounding: &str) -> bool {
    let mut hasher = DefaultHasher::new();
    (operation, surrounding).hash(&mut hasher);
    includes_ignored() || hasher.finish() % 5 < 2
}

/// Returns the groups of a run without a filter.
fn expected() -> BTreeSet<(&'static str, &'static str)> {
    fn names<H: Harness>(
        groups: &[&'static Group<H>],
    ) -> impl Iterator<Item = (&'static str, &'static str)> {
        let all = includes_ignored();
        let run = groups.iter().filter(move |group| all || !group.ignored);
        run.map(|group| (H::FLOOR, group.name))
    }
    names(inventory::GROUPS)
        .chain(names(memory::GROUPS))
        .chain(names(postgres::GROUPS))
        .chain(ALONE)
        .collect()
}

/// Prints the results so far after the last group of the run. If the run includes the ignored tests, they are printed
/// even where the test harness captures the output.
pub fn finish(floor: &'static str, group: &'static str) {
    let mut results = RESULTS.lock().unwrap_or_else(PoisonError::into_inner);
    results.finished.insert((floor, group));
    let complete = expected().is_subset(&results.finished);
    if complete && includes_ignored() {
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(results.text().as_bytes()).unwrap();
    } else if complete {
        print!("{}", results.text());
    } else {
        println!("after {group}: {}", results.counts());
    }
}

impl Results {
    fn floors(&self) -> BTreeSet<&'static str> {
        self.entries.iter().map(|entry| entry.floor).collect()
    }

    /// Returns the names in their order, each once.
    fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
        let mut seen = BTreeSet::new();
        names.filter(|name| seen.insert(*name)).collect()
    }

    fn columns(&self, floor: &str) -> Vec<&str> {
        let of_floor = self.entries.iter().filter(|entry| entry.floor == floor);
        let mut columns = Self::in_order(of_floor.map(|entry| entry.surrounding));
        columns.sort_by_key(|name| name.split(' ').next().and_then(|it| it.parse::<u32>().ok()));
        columns
    }

    /// Returns the matrix of a floor: a row per operation, a numbered column per surrounding. Operations that run the
    /// same code as another one in every surrounding but the first have no row.
    fn matrix(&self, floor: &str) -> String {
        let columns = self.columns(floor);
        let mut text = format!("\n{floor}: the columns are\n");
        for (at, name) in columns.iter().enumerate() {
            writeln!(text, "{:>5}  {name}", at + 1).unwrap();
        }
        let mut rows: BTreeMap<&str, Vec<char>> = BTreeMap::new();
        let of_floor = || self.entries.iter().filter(|entry| entry.floor == floor);
        for entry in of_floor() {
            let row = rows
                .entry(&entry.operation)
                .or_insert_with(|| vec![' '; columns.len()]);
            let at = columns.iter().position(|it| *it == entry.surrounding);
            row[at.unwrap()] = entry.mark.symbol();
        }
        let forwarded = |row: &[char]| row.iter().filter(|mark| **mark != '=').count() == 1;
        let width = rows.keys().map(|name| name.len()).max().unwrap_or(0);
        let ruler: String = (1..=columns.len())
            .map(|at| {
                if at % 10 == 0 {
                    format!("{:>11}", at)
                } else {
                    String::new()
                }
            })
            .collect();
        writeln!(text, "{:width$} {ruler}", "").unwrap();
        let mut left_out = 0;
        for name in Self::in_order(of_floor().map(|entry| entry.operation.as_str())) {
            let row = &rows[name];
            if columns.len() > 1 && forwarded(row) {
                left_out += 1;
                continue;
            }
            let tens: Vec<String> = row.chunks(10).map(|ten| ten.iter().collect()).collect();
            writeln!(text, "{name:width$}  {}", tens.join(" ")).unwrap();
        }
        if left_out > 0 {
            writeln!(text, "and {left_out} operations that a layer forwards").unwrap();
        }
        text
    }

    fn counts(&self) -> String {
        let count = |wanted: fn(&Mark) -> bool| {
            let marks = self.entries.iter().map(|entry| entry.mark);
            marks.filter(wanted).count()
        };
        format!(
            "{} cells closed, {} left out, {} of the same code as another, {} cannot apply, {} known failures, \
             {} failed",
            count(|mark| *mark == Mark::Passed),
            count(|mark| *mark == Mark::LeftOut),
            count(|mark| matches!(mark, Mark::SameCode(_))),
            count(|mark| matches!(mark, Mark::CannotApply(_))),
            count(|mark| *mark == Mark::Known),
            count(|mark| *mark == Mark::Failed),
        )
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for floor in self.floors() {
            text += &self.matrix(floor);
        }
        text += "\n+ closed  = same code as another cell  . cannot apply  - left out  k known failure  F failed\n\n";
        for floor in self.floors() {
            let of_floor = self.entries.iter().filter(|entry| entry.floor == floor);
            let operations: BTreeSet<&str> =
                of_floor.map(|entry| entry.operation.as_str()).collect();
            let surroundings = self.columns(floor).len();
            let operations = operations.len();
            writeln!(
                text,
                "{floor}: {operations} operations in {surroundings} surroundings"
            )
            .unwrap();
        }
        let mut reasons: BTreeMap<(&str, &str), u32> = BTreeMap::new();
        for entry in &self.entries {
            match entry.mark {
                Mark::SameCode(reason) => *reasons.entry(("same code", reason)).or_default() += 1,
                Mark::CannotApply(reason) => {
                    *reasons.entry(("cannot apply", reason)).or_default() += 1;
                }
                Mark::Passed | Mark::LeftOut | Mark::Known | Mark::Failed => {}
            }
        }
        for ((what, reason), cells) in reasons {
            writeln!(text, "{cells:>6} {what}: {reason}").unwrap();
        }
        let mut slowest: Vec<&Entry> = self.entries.iter().collect();
        slowest.sort_by_key(|entry| std::cmp::Reverse(entry.took));
        for entry in slowest.iter().take(8) {
            let Entry {
                operation,
                surrounding,
                took,
                ..
            } = entry;
            writeln!(text, "slow: {took:.1?}, {operation} in {surrounding}").unwrap();
        }
        let took = self.began.map(|began| began.elapsed()).unwrap_or_default();
        writeln!(text, "{}, in {took:.0?}", self.counts()).unwrap();
        text
    }
}
