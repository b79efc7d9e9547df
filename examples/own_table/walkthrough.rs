//! One conflict, step by step.

use optilock::postgres::WriteOutcome;

use crate::{BoxError, account::Bank};

/// A and B update the same account. Returns one line per step.
pub(crate) async fn run(bank: &Bank) -> Result<String, BoxError> {
    let accounts = &bank.accounts;
    let mut text = String::new();
    let mut print = |line: String| {
        text += "  ";
        text += &line;
        text.push('\n');
    };
    let mut a = accounts.get(&1).await?;
    let mut b = accounts.get(&1).await?;
    print(format!(
        "A and B read account 1: version {}, {:?}",
        a.version, a.owner
    ));
    "Ana".clone_into(&mut a.owner);
    "Benito".clone_into(&mut b.owner);
    let written = accounts.update(&a).await?;
    print(format!(
        "A writes {:?} at version {}: now version {}",
        a.owner, a.version, written.version
    ));
    match accounts.update(&b).await {
        Err(error) if error.is_conflict() => {
            print(format!(
                "B writes {:?} at version {}: refused, \"{error}\"",
                b.owner, b.version
            ));
        }
        other => return Err(format!("expected a conflict for B, found {other:?}").into()),
    }
    let WriteOutcome::Stale(current) = accounts.compare_and_set(&b).await? else {
        return Err("expected that the row of B is stale".into());
    };
    print(format!(
        "B reads again: version {}, {:?}",
        current.version, current.owner
    ));
    b.version = current.version;
    let written = accounts.update(&b).await?;
    print(format!(
        "B writes {:?} at version {}: now version {}",
        b.owner, b.version, written.version
    ));
    Ok(text)
}
