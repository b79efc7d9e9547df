//! What a run prints.

use std::{collections::BTreeMap, time::Duration};

use support::table::{Cell, Table};

use crate::{
    faults::{Acted, Fault},
    record::{Answers, Tally},
};

/// Returns one line on the run so far.
pub(crate) fn line(
    elapsed: Duration,
    tally: &Tally,
    acted: &BTreeMap<&'static str, Acted>,
    violations: usize,
) -> String {
    let Answers {
        done,
        refused,
        busy,
        unknown,
        dropped,
        killed,
    } = tally.total();
    let met = |name| acted.get(name).map_or(0, |acted| acted.met);
    format!(
        "{:>5.1} min  {:>9} done  {refused} refused  {busy} busy  {unknown} unknown  {dropped} dropped  \
         {killed} killed | {} crashes  {} backends  {} clients  {} cuts  {} commit cuts | {violations} violations",
        elapsed.as_secs_f64() / 60.0,
        done,
        met("crash"),
        met("kill-backend"),
        met("kill-client"),
        met("cut"),
        met("cut-commit"),
    )
}

/// Returns the numbers of answers by operation.
pub(crate) fn answers(tally: &Tally) -> String {
    let mut table = Table::new(
        [
            "operation",
            "calls",
            "done",
            "refused",
            "busy",
            "unknown",
            "dropped",
            "killed",
        ]
        .map(Cell::new),
    );
    let total = tally.total();
    let operations = tally
        .operations
        .iter()
        .map(|(name, answers)| (*name, answers));
    for (name, answers) in operations.chain([("all", &total)]) {
        let numbers = [
            answers.sum(),
            answers.done,
            answers.refused,
            answers.busy,
            answers.unknown,
            answers.dropped,
            answers.killed,
        ];
        table.add_row(std::iter::once(Cell::new(name)).chain(numbers.map(Cell::number)));
    }
    let codes = tally.codes.iter();
    let codes: Vec<String> = codes
        .map(|(code, count)| format!("{code} {count}"))
        .collect();
    format!("{table}\nrefusals by code: {}", codes.join(", "))
}

/// Returns what each fault met.
pub(crate) fn faults(chosen: &[&'static Fault], acted: &BTreeMap<&'static str, Acted>) -> String {
    let titles = ["fault", "times", "failed", "met", "of"];
    let mut table = Table::new(titles.map(Cell::new));
    let mut failures = String::new();
    for fault in chosen {
        let acted = acted.get(fault.name).cloned().unwrap_or_default();
        failures.extend(
            acted
                .last_failure
                .map(|reason| format!("\n{}: {reason}", fault.name)),
        );
        table.add_row([
            Cell::new(fault.name),
            Cell::number(acted.times),
            Cell::number(acted.failed),
            Cell::number(acted.met),
            Cell::new(fault.unit),
        ]);
    }
    if !failures.is_empty() {
        failures.insert_str(0, "\nthe last failure of each:");
    }
    format!("{table}{failures}")
}
