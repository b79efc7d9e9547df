//! The operations of a repository, each recorded as a transaction.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use optilock::{
    Class, Classify, RetryError, RetryPolicy,
    postgres::{Bulk, Error, PgRepository, WriteOutcome, transact},
    sqlx::{self, PgPool},
};
use rand::seq::IndexedRandom;

use crate::histories::{
    history::{Outcome, Seen, Step, append},
    lists::{self, List},
    recorder::Recorder,
};

/// What guards the writes of a load.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Guards {
    All,
    /// A transaction writes one row by what it read in another one, and does not assert that one.
    NoAssertion,
    /// A write does not compare the version.
    NoVersion,
}

#[derive(Clone, Copy, Debug)]
pub enum Operation {
    Get,
    GetTwo,
    Update,
    CompareAndSet,
    Modify,
    UpdateAll,
    UpdateEach,
    /// Writes the first of two rows, or else the second one, by what it read in both.
    WriteOneOfTwo(bool),
}

impl Operation {
    pub fn random() -> Self {
        let all = [
            Self::Get,
            Self::GetTwo,
            Self::Update,
            Self::CompareAndSet,
            Self::Modify,
            Self::UpdateAll,
            Self::UpdateEach,
            Self::WriteOneOfTwo(true),
            Self::WriteOneOfTwo(false),
        ];
        *all.choose(&mut rand::rng()).expect("not empty")
    }
}

pub struct Process {
    number: usize,
    pool: PgPool,
    rows: PgRepository<List>,
    recorder: Arc<Recorder>,
    guards: Guards,
}

impl Process {
    pub fn new(number: usize, pool: PgPool, recorder: Arc<Recorder>, guards: Guards) -> Self {
        Self {
            number,
            rows: PgRepository::new(pool.clone()),
            pool,
            recorder,
            guards,
        }
    }

    pub fn wants_more(&self, transactions: usize) -> bool {
        self.recorder.wants_more(transactions)
    }

    /// Executes an operation on lists in use and records it.
    pub async fn run(&self, operation: Operation) {
        let list = lists::hot(self.recorder.begun());
        let two = lists::two_hot(self.recorder.begun());
        let element = new_element();
        let appends = match operation {
            Operation::Get | Operation::GetTwo => vec![],
            Operation::Update | Operation::CompareAndSet | Operation::Modify => vec![list],
            Operation::UpdateAll => vec![two.0, two.1],
            Operation::UpdateEach => return self.update_each(two, &element).await,
            Operation::WriteOneOfTwo(first) => vec![if first { two.0 } else { two.1 }],
        };
        let appends = appends.iter().map(|id| append(id.to_string(), &element));
        let number = self.recorder.begin(self.number, appends.collect());
        let done = match operation {
            Operation::Get => self.get(list).await,
            Operation::GetTwo => self.get_two(two).await,
            Operation::Update => self.update(list, &element).await,
            Operation::CompareAndSet => self.compare_and_set(list, &element).await,
            Operation::Modify => self.modify(list, &element).await,
            Operation::UpdateAll => self.update_all(two, &element).await,
            Operation::UpdateEach => unreachable!("recorded above"),
            Operation::WriteOneOfTwo(first) => self.write_one_of_two(two, first, &element).await,
        };
        self.recorder
            .end(number, done.unwrap_or_else(|failed| failed.outcome()));
    }

    async fn get(&self, list: i64) -> Result<Outcome, Failed> {
        let row = self.rows.get(&list).await?;
        Ok(Outcome::Done(vec![seen(&row)]))
    }

    /// Reads two rows and asserts both, so that they are of one state.
    async fn get_two(&self, (one, other): (i64, i64)) -> Result<Outcome, Failed> {
        let (rows, guards, policy) = (&self.rows, self.guards, RetryPolicy::new());
        let read = transact(&self.pool, &policy, async |tx| {
            let (one, other) = (rows.get_in(tx, &one).await?, rows.get_in(tx, &other).await?);
            if guards == Guards::All {
                rows.assert_current_in(tx, &one.id, one.version).await?;
                rows.assert_current_in(tx, &other.id, other.version).await?;
            }
            Ok::<_, Error>(vec![seen(&one), seen(&other)])
        });
        Ok(Outcome::Done(read.await?))
    }

    async fn update(&self, list: i64, element: &str) -> Result<Outcome, Failed> {
        let row = self.rows.get(&list).await?;
        let changed = row.with(element);
        if self.guards == Guards::NoVersion {
            self.overwrite(&changed).await?;
        } else {
            let written = self.rows.update(&changed).await?;
            assert_eq!(written.elements, changed.elements);
        }
        Ok(Outcome::Done(row.read_and_appended(element)))
    }

    /// Writes a row without a comparison of its version.
    async fn overwrite(&self, row: &List) -> Result<(), Error> {
        let sql = "UPDATE histories.lists SET elements = $2, version = version + 1 WHERE id = $1";
        let overwrite = sqlx::query(sql).bind(row.id).bind(&row.elements);
        overwrite.execute(&self.pool).await?;
        Ok(())
    }

    async fn compare_and_set(&self, list: i64, element: &str) -> Result<Outcome, Failed> {
        let row = self.rows.get(&list).await?;
        let outcome = self.rows.compare_and_set(&row.with(element)).await?;
        Ok(row.outcome(element, outcome))
    }

    async fn modify(&self, list: i64, element: &str) -> Result<Outcome, Failed> {
        let change = |row: &mut List| {
            let before = row.clone();
            row.elements.push(element.to_owned());
            Ok::<_, Error>(before)
        };
        let modified = self.rows.modify(&RetryPolicy::new(), &list, change).await;
        let (_, before) = modified?;
        Ok(Outcome::Done(before.read_and_appended(element)))
    }

    /// Writes two rows or none.
    async fn update_all(&self, two: (i64, i64), element: &str) -> Result<Outcome, Failed> {
        let rows = [self.rows.get(&two.0).await?, self.rows.get(&two.1).await?];
        let changed = rows.each_ref().map(|row| row.with(element));
        let outcomes = self.rows.update_all(&changed, Bulk::AllOrNothing).await?;
        let written = outcomes.iter().filter(|outcome| outcome.is_written());
        match written.count() {
            2 => {
                let steps = rows.iter().flat_map(|row| row.read_and_appended(element));
                Ok(Outcome::Done(steps.collect()))
            }
            0 => Ok(Outcome::Refused),
            _ => panic!("one of two rows was written: {outcomes:?}"),
        }
    }

    /// Writes those of two rows that are current: a transaction each.
    async fn update_each(&self, two: (i64, i64), element: &str) {
        let begin = |process, id: i64| {
            let requested = vec![append(id.to_string(), element)];
            self.recorder.begin(process, requested)
        };
        // The second one has a process of its own, as it runs beside the first one.
        let numbers = [begin(self.number, two.0), begin(self.number + 1_000, two.1)];
        let outcomes = async {
            let rows = [self.rows.get(&two.0).await?, self.rows.get(&two.1).await?];
            let changed = rows.each_ref().map(|row| row.with(element));
            let outcomes = self.rows.update_all(&changed, Bulk::Each).await?;
            let outcomes = rows.iter().zip(outcomes);
            let steps = outcomes.map(|(row, outcome)| row.outcome(element, outcome));
            Ok::<_, Failed>(steps.collect::<Vec<_>>())
        };
        let outcomes = outcomes
            .await
            .unwrap_or_else(|failed| vec![failed.outcome(); 2]);
        for (number, outcome) in numbers.into_iter().zip(outcomes) {
            self.recorder.end(number, outcome);
        }
    }

    async fn write_one_of_two(
        &self,
        (one, other): (i64, i64),
        first: bool,
        element: &str,
    ) -> Result<Outcome, Failed> {
        let (rows, guards, policy) = (&self.rows, self.guards, RetryPolicy::new());
        let written = transact(&self.pool, &policy, async |tx| {
            let (one, other) = (rows.get_in(tx, &one).await?, rows.get_in(tx, &other).await?);
            // In the order of the ids, as two transactions that assert what the other one writes deadlock.
            for row in [&one, &other] {
                if (row.id == one.id) == first {
                    rows.update_in(tx, &row.with(element)).await?;
                } else if guards == Guards::All {
                    rows.assert_current_in(tx, &row.id, row.version).await?;
                }
            }
            Ok::<_, Error>((one, other))
        });
        let (one, other) = written.await?;
        let mut steps = vec![seen(&one), seen(&other)];
        let written = if first { one } else { other };
        steps.push(append(written.id.to_string(), element));
        Ok(Outcome::Done(steps))
    }
}

impl List {
    fn with(&self, element: &str) -> Self {
        let mut changed = self.clone();
        changed.elements.push(element.to_owned());
        changed
    }

    /// Returns the outcome of a write of [`with`](Self::with). A row that was stale was read as it is now.
    fn outcome(&self, element: &str, outcome: WriteOutcome<Self>) -> Outcome {
        Outcome::Done(match outcome {
            WriteOutcome::Written(_) => self.read_and_appended(element),
            WriteOutcome::Stale(current) => vec![seen(&current)],
            other => panic!("{other:?}"),
        })
    }

    fn read_and_appended(&self, element: &str) -> Vec<Step> {
        vec![seen(self), append(self.id.to_string(), element)]
    }
}

fn seen(row: &List) -> Step {
    Step::Read(row.id.to_string(), Seen::List(row.elements.clone()))
}

fn new_element() -> String {
    static ELEMENTS: AtomicUsize = AtomicUsize::new(0);
    ELEMENTS.fetch_add(1, Relaxed).to_string()
}

/// An operation without an answer, and whether it may have taken effect.
struct Failed {
    is_unknown: bool,
}

impl Failed {
    const fn outcome(self) -> Outcome {
        match self.is_unknown {
            true => Outcome::Unknown,
            false => Outcome::Refused,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        assert_is_of_load(&error);
        let is_unknown = error.is_unknown();
        Self { is_unknown }
    }
}

impl From<RetryError<Error>> for Failed {
    fn from(error: RetryError<Error>) -> Self {
        assert_is_of_load(&error.error);
        let is_unknown = error.class() == Class::Unknown;
        Self { is_unknown }
    }
}

/// Asserts that the error is one of concurrent writers or lost connections.
fn assert_is_of_load(error: &Error) {
    let expected = error.is_unknown() || error.is_busy() || error.is_conflict();
    assert!(expected, "{error:?}");
}
