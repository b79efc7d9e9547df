//! Every operation of an inventory, by every strategy, in every surrounding that broke one: one table of
//! operations, one of surroundings, one loop for each group of them.

mod books;
mod broken;
mod case;
mod holder;
mod known;
mod operations;
mod surroundings;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use optilock::{
    Class, Classify, RetryPolicy,
    inventory::{Error, PgInventory},
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use super::polled::Caught;
use crate::{
    support::db::{Db, assert_quiet, pool_options},
    support::proxy::Proxy,
};
use case::Case;
use known::{KNOWN, RACES};
use operations::{OPERATIONS, Said, Subject};

/// Quick to give up, so that a cell ends soon.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(5)
    .with_base_delay(Duration::from_millis(1))
    .with_deadline(Some(Duration::from_secs(2)));

/// No operation may take longer in any surrounding: the deadline and a round trip, on two cores.
const LIMIT: Duration = Duration::from_secs(8);
/// The same for what is known not to end.
const KNOWN_LIMIT: Duration = Duration::from_secs(1);

/// What an operation answered.
#[derive(Debug)]
pub enum Answer {
    Done,
    /// A clean-up that found nothing to do.
    Nothing,
    NotDone(Error),
    Unknown(Error),
}

impl Answer {
    fn of(result: Result<Said, Error>) -> Self {
        match result {
            Ok(Said::Done) => Self::Done,
            Ok(Said::Nothing) => Self::Nothing,
            Err(error) if error.is_unknown() => Self::Unknown(error),
            Err(error) => Self::NotDone(error),
        }
    }

    const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    fn is_refused(&self, code: &str) -> bool {
        matches!(self, Self::NotDone(error) if error.code() == code)
    }

    /// The class of the error that counts.
    fn class(&self) -> Option<Class> {
        match self {
            Self::NotDone(Error::Exhausted { source, .. }) => Some(source.class()),
            Self::NotDone(error) | Self::Unknown(error) => Some(error.class()),
            Self::Done | Self::Nothing => None,
        }
    }

    /// Everything that the error says, and its sources.
    fn text(&self) -> String {
        let (Self::NotDone(error) | Self::Unknown(error)) = self else {
            return String::new();
        };
        let mut text = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(source) = next {
            write!(text, ": {source}").unwrap();
            next = source.source();
        }
        text
    }
}

/// What the operations work with: the pool is under attack, the database's own is not.
#[derive(Clone)]
pub struct Bench {
    db: Arc<Db>,
    pool: PgPool,
    policy: RetryPolicy,
    limit: Duration,
    /// What is stored stays for the next cell, and the books are compared after that one: a cell asks for it.
    keep: Arc<AtomicBool>,
}

impl Bench {
    async fn new() -> Self {
        Self::on(Db::new().await).await
    }

    async fn on(db: Db) -> Self {
        let db = Arc::new(db);
        let pool = pool_options(4)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(db.database.options())
            .await
            .unwrap();
        Self {
            db,
            pool,
            policy: POLICY,
            limit: LIMIT,
            keep: Arc::default(),
        }
    }

    /// The same database through another pool.
    fn through(&self, pool: PgPool) -> Self {
        Self {
            pool,
            ..self.clone()
        }
    }

    /// The same database through a pool of `connections` with these settings.
    async fn with_settings(&self, connections: u32, settings: &[(&str, &str)]) -> Self {
        let options = self.db.database.options().options(settings.iter().copied());
        let pool = pool_options(connections)
            .acquire_timeout(Duration::from_secs(3))
            .connect_with(options)
            .await
            .unwrap();
        self.through(pool)
    }

    async fn proxied(&self, connections: u32) -> (Proxy, Self) {
        let proxy = Proxy::new(&self.db).await;
        let pool = proxy
            .pool_with(pool_options(connections).acquire_timeout(Duration::from_secs(3)))
            .await;
        (proxy, self.through(pool))
    }

    fn shop(&self, subject: &Subject) -> PgInventory {
        PgInventory::new(self.pool.clone())
            .with_policy(self.policy.clone())
            .with_strategy(subject.strategy)
    }

    /// What the operation needs, stored; and that, in words.
    async fn case(&self, subject: &Subject) -> (Case, String) {
        let case = Case::new(subject.operation.setup);
        case.store(&self.db.pool).await;
        let before = case.stored(&self.db.pool).await;
        (case, before)
    }

    /// One run, within its limit.
    async fn attempt(&self, subject: &Subject, case: &Case, cell: &str) -> Answer {
        let shop = self.shop(subject);
        let answer = timeout(self.limit, (subject.operation.run)(&shop, &self.pool, case)).await;
        Answer::of(answer.unwrap_or_else(|_| panic!("{cell}: it does not end")))
    }

    /// What is stored is what the answer says, when nothing runs any more. `None`: it was dropped.
    async fn judge(
        &self,
        subject: &Subject,
        made: &(Case, String),
        answer: Option<&Answer>,
        cell: &str,
    ) {
        assert_quiet(&self.db.pool).await;
        self.compare(subject, made, answer, cell).await;
    }

    async fn compare(
        &self,
        subject: &Subject,
        (case, before): &(Case, String),
        answer: Option<&Answer>,
        cell: &str,
    ) {
        let stored = case.stored(&self.db.pool).await;
        let after = subject.operation.after.unwrap_or(before);
        let is_true = match answer {
            Some(Answer::Done) => stored == after,
            Some(Answer::NotDone(_) | Answer::Nothing) => stored == *before,
            Some(Answer::Unknown(_)) | None => stored == *before || stored == after,
        };
        assert!(
            is_true,
            "{cell}: {answer:?}, and stored is\n  {stored}\nbefore it was\n  {before}\ndone would be\n  {after}"
        );
    }

    /// Runs the operation on rows of its own and holds it to its word.
    async fn run(&self, subject: &Subject, cell: &str) -> Answer {
        let made = self.case(subject).await;
        let answer = self.attempt(subject, &made.0, cell).await;
        self.judge(subject, &made, Some(&answer), cell).await;
        answer
    }

    /// The same where nothing is in the way.
    async fn run_well(&self, subject: &Subject, cell: &str) {
        let answer = self.run(subject, cell).await;
        assert!(answer.is_done(), "{cell}: {answer:?}");
    }

    /// After a cell: the books balance, nothing is open, no lock is left, no connection is lost.
    async fn aftermath(&self, cell: &str) {
        assert_quiet(&self.db.pool).await;
        let whole = async {
            let mut all = Vec::new();
            for _ in 0..self.pool.options().get_max_connections() {
                all.push(self.pool.acquire().await?);
            }
            Ok::<_, sqlx::Error>(())
        };
        let whole = timeout(Duration::from_secs(5), whole).await;
        assert!(
            matches!(whole, Ok(Ok(()))),
            "{cell}: the pool lost connections: {whole:?}"
        );
        if !self.keep.swap(false, SeqCst) {
            books::assert_balanced(&self.db.pool, cell).await;
            books::clear(&self.db.pool).await;
        }
    }
}

impl Bench {
    /// Takes away what a cell that failed may have left.
    async fn reset(&self) {
        const RESET: &str = "SET lock_timeout = '1s';
            DO $$ DECLARE it record; BEGIN
                FOR it IN SELECT tgname, tgrelid::regclass AS on_table FROM pg_trigger
                    WHERE tgname IN ('swallow', 'refuse')
                LOOP EXECUTE format('DROP TRIGGER %I ON %s', it.tgname, it.on_table); END LOOP;
                FOR it IN SELECT polname, polrelid::regclass AS on_table FROM pg_policy
                LOOP
                    EXECUTE format('DROP POLICY %I ON %s', it.polname, it.on_table);
                    EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY', it.on_table);
                END LOOP;
            END $$;
            RESET lock_timeout";
        self.keep.store(false, SeqCst);
        sqlx::raw_sql(RESET).execute(&self.db.pool).await.unwrap();
        books::clear(&self.db.pool).await;
        self.aftermath("reset").await;
    }
}

/// What became of a cell.
#[derive(Debug)]
pub enum Cell {
    Held,
    /// With the reason.
    CannotApply(&'static str),
}

type Attack =
    for<'a> fn(&'a Bench, &'a Subject, &'a str) -> Pin<Box<dyn Future<Output = Cell> + 'a>>;

pub struct Surrounding {
    pub name: &'static str,
    pub attack: Attack,
}

/// Over all groups of this run: cells held, known to fail, and those that can't apply by their reasons.
static TALLY: Mutex<(u32, u32, BTreeMap<&'static str, u32>)> = Mutex::new((0, 0, BTreeMap::new()));

/// Runs every operation in these surroundings, and says what became of it.
async fn run(group: &'static [Surrounding]) {
    let (began, mut slowest) = (Instant::now(), (Duration::ZERO, String::new()));
    let mut bench = Bench::new().await;
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let names = group.iter().map(|surrounding| surrounding.name);
    table.set_header(std::iter::once("operation").chain(names));
    let (mut failed, mut fixed) = (Vec::new(), Vec::new());
    let mut rows: Vec<Vec<String>> = Subject::all().map(|subject| vec![subject.name()]).collect();
    for surrounding in group {
        for (subject, row) in Subject::all().zip(&mut rows) {
            let cell = format!("{} in {}", row[0], surrounding.name);
            let name = (row[0].as_str(), surrounding.name);
            let (known, race) = (KNOWN.contains(&name), RACES.contains(&name));
            bench.limit = if known { KNOWN_LIMIT } else { LIMIT };
            let attack = async {
                let became = (surrounding.attack)(&bench, &subject, &cell).await;
                bench.aftermath(&cell).await;
                became
            };
            let start = Instant::now();
            let became = Caught(pin!(attack)).await;
            slowest = slowest.max((start.elapsed(), cell.clone()));
            row.push({
                let mut tally = TALLY.lock().unwrap();
                match &became {
                    Ok(_) if known => {
                        fixed.push(cell.clone());
                        "FIXED".to_owned()
                    }
                    Ok(Cell::Held) => {
                        tally.0 += 1;
                        "held".to_owned()
                    }
                    Ok(Cell::CannotApply(reason)) => {
                        *tally.2.entry(*reason).or_default() += 1;
                        "-".to_owned()
                    }
                    Err(text) if known || race => {
                        println!("known: {text}");
                        tally.1 += 1;
                        "known".to_owned()
                    }
                    Err(text) => {
                        failed.push((row[0].clone(), surrounding.name, text.clone()));
                        "FAILED".to_owned()
                    }
                }
            });
            if became.is_err() && Caught(pin!(bench.reset())).await.is_err() {
                bench = Bench::new().await;
            }
        }
    }
    for row in rows {
        table.add_row(row);
    }
    let (took, cell) = slowest;
    println!(
        "{table}\n{:.1?}; the slowest {took:.1?}, {cell}",
        began.elapsed()
    );
    let tally = TALLY.lock().unwrap();
    println!(
        "{} cells held so far, {} are known to fail",
        tally.0, tally.1
    );
    for (reason, cells) in &tally.2 {
        println!("{cells} cells can't apply so far: {reason}");
    }
    drop(tally);
    let mut report = String::new();
    for (operation, surrounding, text) in &failed {
        writeln!(report, "FAILED ({operation:?}, {surrounding:?}),\n  {text}").unwrap();
    }
    assert!(failed.is_empty(), "{} cells fail:\n{report}", failed.len());
    assert!(
        fixed.is_empty(),
        "these hold by now, take them out of KNOWN: {fixed:#?}"
    );
}

/// A method of the trait without a row in the table fails here.
#[test]
fn every_method_is_in_the_table() {
    let declared = include_str!("../../../src/inventory/api.rs")
        .split("    async fn ")
        .skip(1)
        .filter_map(|rest| rest.split('(').next());
    let missing: Vec<&str> = declared
        .filter(|name| OPERATIONS.iter().all(|operation| operation.method != *name))
        .collect();
    assert_eq!(missing, [""; 0]);
}

/// What is known to fail is in the tables, and once.
#[test]
fn what_is_known_is_a_cell() {
    let subjects: Vec<String> = Subject::all().map(|subject| subject.name()).collect();
    let surroundings: Vec<&str> = surroundings::ALL
        .iter()
        .flat_map(|group| group.iter().map(|surrounding| surrounding.name))
        .collect();
    let mut seen = BTreeSet::new();
    for known @ (operation, surrounding) in KNOWN.iter().chain(RACES) {
        let is_cell =
            subjects.iter().any(|name| name == operation) && surroundings.contains(surrounding);
        assert!(is_cell && seen.insert(known), "{known:?}");
    }
    println!(
        "{} operations in {} surroundings",
        subjects.len(),
        surroundings.len()
    );
}
