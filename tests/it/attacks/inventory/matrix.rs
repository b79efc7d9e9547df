//! The loop over all operations in a group of surroundings, and its report.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    pin::pin,
    sync::Mutex,
    time::{Duration, Instant},
};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};

use super::{Cell, Harness, KNOWN_FAILURES, LIMIT, OCCASIONAL_FAILURES, Surrounding, Variant};
use crate::support::polling::CatchPanic;

/// The limit of an operation that is known not to end.
const KNOWN_LIMIT: Duration = Duration::from_secs(1);

/// Numbers of cells, over all groups of this run.
pub struct Tally {
    pub passed: u32,
    known: u32,
    cannot_apply: BTreeMap<&'static str, u32>,
}

pub static TALLY: Mutex<Tally> = Mutex::new(Tally {
    passed: 0,
    known: 0,
    cannot_apply: BTreeMap::new(),
});

/// What a group of surroundings found.
#[derive(Default)]
struct Findings {
    failed: Vec<String>,
    /// Known failures that passed.
    fixed: Vec<String>,
    slowest: (Duration, String),
}

impl Findings {
    /// Counts a cell's result and returns its entry in the table.
    fn record(
        &mut self,
        (operation, surrounding): (&str, &'static str),
        cell: &str,
        result: &Result<Cell, String>,
    ) -> &'static str {
        let name = (operation, surrounding);
        let known = KNOWN_FAILURES.contains(&name);
        let mut tally = TALLY.lock().unwrap();
        match result {
            Ok(_) if known => {
                self.fixed.push(cell.to_owned());
                "FIXED"
            }
            Ok(Cell::Passed) => {
                tally.passed += 1;
                "passed"
            }
            Ok(Cell::CannotApply(reason)) => {
                *tally.cannot_apply.entry(*reason).or_default() += 1;
                "-"
            }
            Err(text) if known || OCCASIONAL_FAILURES.contains(&name) => {
                println!("known: {text}");
                tally.known += 1;
                "known"
            }
            Err(text) => {
                self.failed.push(format!(
                    "FAILED ({operation:?}, {surrounding:?}),\n  {text}"
                ));
                "FAILED"
            }
        }
    }

    fn assert_none(&self) {
        assert!(
            self.failed.is_empty(),
            "{} cells fail:\n{}",
            self.failed.len(),
            self.failed.join("\n")
        );
        assert!(
            self.fixed.is_empty(),
            "these pass now, remove them from KNOWN_FAILURES: {:#?}",
            self.fixed
        );
    }
}

/// Runs a cell and the checks after it. A panic is the text of the error.
pub async fn run_cell(
    harness: &Harness,
    variant: &Variant,
    surrounding: &Surrounding,
    cell: &str,
) -> Result<Cell, String> {
    let attack = async {
        let result = (surrounding.attack)(harness, variant, cell).await;
        harness.check_after(cell).await;
        result
    };
    CatchPanic(pin!(attack)).await
}

/// Runs every operation in these surroundings, prints a table of the results, and fails if a cell fails.
pub async fn run(group: &'static [Surrounding]) {
    let began = Instant::now();
    let mut harness = Harness::new().await;
    let mut findings = Findings::default();
    let mut rows: Vec<Vec<String>> = Variant::all().map(|variant| vec![variant.name()]).collect();
    for surrounding in group {
        for (variant, row) in Variant::all().zip(&mut rows) {
            let name = (row[0].as_str(), surrounding.name);
            let cell = format!("{} in {}", name.0, name.1);
            harness.limit = if KNOWN_FAILURES.contains(&name) {
                KNOWN_LIMIT
            } else {
                LIMIT
            };
            let start = Instant::now();
            let result = run_cell(&harness, &variant, surrounding, &cell).await;
            let took = (start.elapsed(), cell.clone());
            findings.slowest = std::mem::take(&mut findings.slowest).max(took);
            let entry = findings.record(name, &cell, &result);
            row.push(entry.to_owned());
            if result.is_err() && CatchPanic(pin!(harness.reset())).await.is_err() {
                harness = Harness::new().await;
            }
        }
    }
    print_report(group, rows, began.elapsed(), &findings.slowest);
    findings.assert_none();
}

fn print_report(
    group: &[Surrounding],
    rows: Vec<Vec<String>>,
    took: Duration,
    (slowest, cell): &(Duration, String),
) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = group.iter().map(|surrounding| surrounding.name);
    table.set_header(std::iter::once("operation").chain(names));
    for row in rows {
        table.add_row(row);
    }
    let tally = TALLY.lock().unwrap();
    let mut report = format!("{table}\n{took:.1?}; the slowest {slowest:.1?}, {cell}\n");
    let (passed, known) = (tally.passed, tally.known);
    writeln!(
        report,
        "{passed} cells passed so far, {known} are known to fail"
    )
    .unwrap();
    for (reason, cells) in &tally.cannot_apply {
        writeln!(report, "{cells} cells cannot apply so far: {reason}").unwrap();
    }
    print!("{report}");
}
