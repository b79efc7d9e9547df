//! One conflict, step by step.

use optilock::postgres::{Error, WriteOutcome};

use crate::{Fault, account::Bank};

/// A and B edit the same account.
pub(crate) async fn tell(bank: &Bank) -> Result<String, Fault> {
    let accounts = &bank.accounts;
    let mut told = String::new();
    let mut say = |line: String| {
        told += "  ";
        told += &line;
        told.push('\n');
    };
    let mut a = accounts.get(&1).await?;
    let mut b = accounts.get(&1).await?;
    say(format!(
        "A and B read account 1: version {}, {:?}",
        a.version, a.owner
    ));
    "Ana".clone_into(&mut a.owner);
    "Benito".clone_into(&mut b.owner);
    let written = accounts.update(&a).await?;
    say(format!(
        "A writes {:?} at version {}: now version {}",
        a.owner, a.version, written.version
    ));
    match accounts.update(&b).await {
        Err(error @ Error::Conflict(_)) => {
            say(format!(
                "B writes {:?} at version {}: refused, \"{error}\"",
                b.owner, b.version
            ));
        }
        other => return Err(format!("B should have been refused: {other:?}").into()),
    }
    let WriteOutcome::Stale(current) = accounts.compare_and_set(&b).await? else {
        return Err("B's row should be stale".into());
    };
    say(format!(
        "B asks what is there: version {}, {:?}",
        current.version, current.owner
    ));
    b.version = current.version;
    let written = accounts.update(&b).await?;
    say(format!(
        "B decides again, and writes at version {}: now version {}",
        b.version, written.version
    ));
    Ok(told)
}
