//! Many rows in one statement.

use std::time::{Duration, Instant};

use optilock::{
    Class, Classify, Version,
    postgres::{Bulk, Error, PgRepository, WriteOutcome},
    sqlx, versioned_row,
};
use rand::seq::index;
use tokio::task::JoinSet;

use crate::{
    support::bank::{Account, Bank, CHILD, KEEPERS, PATIENT, PLACES, as_clerk, everywhere},
    support::db::{assert_quiet, deadlocks},
    support::proxy::{Cut, Proxy},
};

impl Bank {
    async fn with_accounts(&self, count: i64) -> Vec<Account> {
        let sql = "INSERT INTO bank.accounts (id, owner, cents)
            SELECT n, 'owner', 100 FROM generate_series(1, $1) AS n";
        sqlx::query(sql)
            .bind(count)
            .execute(&self.pool)
            .await
            .unwrap();
        self.all().await
    }

    async fn all(&self) -> Vec<Account> {
        sqlx::query_as("SELECT id, owner, cents, version FROM bank.accounts ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_batch_with_one_stale_row() {
    everywhere(async |bank| {
        let read = bank.with_accounts(3).await;
        let current = bank.accounts.update(&read[1].plus(1)).await.unwrap();
        // Not in the order of their ids.
        let rows = [read[2].plus(7), read[1].plus(7), read[0].plus(7)];
        let before = bank.all().await;
        let verdicts = bank.accounts.update_all(&rows, Bulk::AllOrNothing).await;
        let held = |at: usize| WriteOutcome::Skipped(read[at].clone());
        let expected = [held(2), WriteOutcome::Stale(current.clone()), held(0)];
        assert_eq!(verdicts.unwrap(), expected);
        assert_eq!(bank.all().await, before);

        let verdicts = bank.accounts.update_all(&rows, Bulk::Each).await.unwrap();
        let after = bank.all().await;
        let written = |at: usize| WriteOutcome::Written(after[at].clone());
        assert_eq!(
            verdicts,
            [written(2), WriteOutcome::Stale(current), written(0)]
        );
        let cents: Vec<i64> = after.iter().map(|it| it.cents).collect();
        assert_eq!(cents, [107, 101, 107]);
        assert_eq!(after[0].version.get(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_batch_with_rows_that_are_gone() {
    everywhere(async |bank| {
        let read = bank.with_accounts(3).await;
        bank.accounts.delete(&2, Version::FIRST).await.unwrap();
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        let verdicts = bank.accounts.update_all(&rows, Bulk::AllOrNothing).await;
        let held = |at: usize| WriteOutcome::Skipped(read[at].clone());
        assert_eq!(
            verdicts.unwrap(),
            [held(0), WriteOutcome::NotFound, held(2)]
        );
        let verdicts = bank.accounts.update_all(&rows, Bulk::Each).await.unwrap();
        assert_eq!(verdicts[1], WriteOutcome::NotFound);
        assert!(verdicts[0].is_written() && verdicts[2].is_written());
        assert_eq!(bank.sum().await, 202);
    })
    .await;
}

#[tokio::test]
async fn nothing_repeated_ids_and_too_many() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        for mode in [Bulk::AllOrNothing, Bulk::Each] {
            assert_eq!(bank.accounts.update_all(&[], mode).await.unwrap(), []);
            let twice = [read[1].plus(1), read[0].plus(1), read[1].plus(2)];
            match bank.accounts.update_all(&twice, mode).await {
                Err(Error::RepeatedId { entity, id }) => {
                    assert_eq!((entity, &*id), ("account", "2"))
                }
                other => panic!("{other:?}"),
            }
            // Before anything is asked: these are not even there.
            let nobody = [Account::new(7, 0), Account::new(7, 0)];
            let refused = bank.accounts.update_all(&nobody, mode).await.unwrap_err();
            assert!(matches!(refused, Error::RepeatedId { .. }), "{refused:?}");
            let many: Vec<Account> = (0..10_001).map(|id| Account::new(id, 0)).collect();
            match bank.accounts.update_all(&many, mode).await {
                Err(Error::TooManyRows { given, most, .. }) => {
                    assert_eq!((given, most), (10_001, 10_000))
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bank.all().await, read);
    })
    .await;
}

#[tokio::test]
async fn ten_thousand_rows() {
    let bank = Bank::open(PLACES[0]).await;
    let mut rows = bank.with_accounts(10_000).await;
    for row in &mut rows {
        row.cents += row.id;
    }
    rows.reverse();
    for mode in [Bulk::AllOrNothing, Bulk::Each] {
        let verdicts = bank.accounts.update_all(&rows, mode).await.unwrap();
        for (row, verdict) in rows.iter_mut().zip(verdicts) {
            let WriteOutcome::Written(written) = verdict else {
                panic!("{verdict:?}");
            };
            assert_eq!((written.id, written.cents), (row.id, row.cents));
            *row = written;
        }
    }
    assert_eq!(rows[0].version.get(), 3);
}

#[tokio::test]
async fn a_row_that_a_trigger_swallows() {
    everywhere(async |bank| {
        let read = bank.with_accounts(3).await;
        bank.run(
            "CREATE FUNCTION bank.swallow() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
             CREATE TRIGGER swallow BEFORE UPDATE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.swallow()",
        )
        .await;
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        match bank.accounts.update_all(&rows, Bulk::AllOrNothing).await {
            Err(error @ Error::Suppressed { .. }) => {
                assert_eq!(error.class(), Class::Permanent);
                assert!(error.to_string().contains("account 2"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bank.all().await, read);
        let verdicts = bank.accounts.update_all(&rows, Bulk::Each).await.unwrap();
        assert_eq!(verdicts[1], WriteOutcome::Suppressed);
        assert!(verdicts[0].is_written() && verdicts[2].is_written());
    })
    .await;
}

/// A policy that lets a role read a row and not write it hides the row from the lock.
#[tokio::test]
async fn a_row_that_a_policy_protects() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        bank.run(
            "ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY sees ON bank.accounts FOR SELECT USING (true);
             CREATE POLICY writes ON bank.accounts FOR UPDATE USING (id <> 2)",
        )
        .await;
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        let (each, all, one) = as_clerk!(bank, conn => {
            (
                bank.accounts.update_all_in(conn, &rows, Bulk::AllOrNothing).await.unwrap(),
                bank.accounts.update_all_in(conn, &rows, Bulk::Each).await.unwrap(),
                bank.accounts.compare_and_set_in(conn, &rows[1]).await.unwrap(),
            )
        });
        assert_eq!(
            each,
            [
                WriteOutcome::Skipped(read[0].clone()),
                WriteOutcome::Suppressed
            ]
        );
        assert_eq!(
            (all[0].is_written(), &all[1]),
            (true, &WriteOutcome::Suppressed)
        );
        assert_eq!(one, WriteOutcome::Suppressed);
    })
    .await;
}

#[tokio::test]
async fn a_batch_that_waited_is_judged_by_what_it_finds_then() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        let mut first = bank.pool.begin().await.unwrap();
        let current = bank
            .accounts
            .update_in(&mut first, &read[1].plus(5))
            .await
            .unwrap();
        let rows = [read[0].plus(1), read[1].plus(1)];
        let ending = async {
            bank.waits().await;
            first.commit().await.unwrap();
        };
        let (verdicts, ()) = tokio::join!(bank.accounts.update_all(&rows, Bulk::Each), ending);
        let verdicts = verdicts.unwrap();
        assert!(verdicts[0].is_written());
        assert_eq!(verdicts[1], WriteOutcome::Stale(current));
    })
    .await;
}

#[tokio::test]
async fn the_last_version_in_a_batch() {
    everywhere(async |bank| {
        let mut last = Account::new(1, 0);
        last.version = Version::new(i64::MAX).unwrap();
        let rows = [
            bank.accounts.insert(&last).await.unwrap(),
            bank.account(2, 0).await,
        ];
        match bank.accounts.update_all(&rows, Bulk::Each).await {
            Err(Error::VersionExhausted { id, .. }) => assert_eq!(id, "1"),
            other => panic!("{other:?}"),
        }
        assert_eq!(bank.all().await, rows);
    })
    .await;
}

/// The batch has committed when the wire is cut, before the question what became of the row that could
/// not be locked: nobody may say that nothing happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_cut_after_it_was_written_is_unknown() {
    for (gone, unknown) in [(vec![2], true), (vec![1, 2, 3], false)] {
        let bank = Bank::open(PLACES[0]).await;
        let rows = bank.with_accounts(3).await;
        for id in &gone {
            bank.accounts.delete(id, Version::FIRST).await.unwrap();
        }
        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        // Bind: one format, binary; one parameter, an array of so many ids.
        let length = u8::try_from(20 + 12 * gone.len()).unwrap();
        proxy.trap(&[0, 1, 0, 1, 0, 1, 0, 0, 0, length], Cut::Before);
        let lost = accounts.update_all(&rows, Bulk::Each).await.unwrap_err();
        assert_eq!(lost.is_unknown(), unknown, "{lost:?}");
        assert_eq!(lost.is_busy(), !unknown);
        assert!(!proxy.armed());
        let written = bank
            .all()
            .await
            .iter()
            .filter(|it| it.version.get() == 2)
            .count();
        assert_eq!(written, if unknown { 2 } else { 0 });
    }
}

/// So long in a debug build and among other tests; `OPTILOCK_STORM_SECONDS=10` for the figure in the
/// README.
fn storm() -> Duration {
    let seconds = std::env::var("OPTILOCK_STORM_SECONDS");
    Duration::from_secs(seconds.map_or(2, |it| it.parse().expect("a number of seconds")))
}

/// Sixteen tasks move money within random, overlapping batches: the sum stays, and the server finds
/// no deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn overlapping_batches() {
    for place in PLACES {
        let bank = Bank::open(place).await;
        bank.with_accounts(20).await;
        let end = Instant::now() + storm();
        let mut tasks = JoinSet::new();
        for _ in 0..16 {
            let bank = bank.clone();
            tasks.spawn(async move {
                let (mut rounds, mut written) = (0, 0);
                while Instant::now() < end {
                    written += round(&bank).await;
                    rounds += 1;
                }
                (rounds, written)
            });
        }
        let done = tasks.join_all().await;
        let (rounds, written) = done
            .iter()
            .fold((0, 0), |sum, it| (sum.0 + it.0, sum.1 + it.1));
        println!("{place:?}: {rounds} batches, {written} written whole");
        assert!(written > 0);
        assert_eq!(bank.sum().await, 2_000);
        let versions: i64 = bank.all().await.iter().map(|it| it.version.get() - 1).sum();
        assert!(versions >= written, "every row of a batch counts");
        assert_eq!(deadlocks(&bank.pool).await, 0);
        assert_quiet(&bank.pool).await;
    }
}

/// One batch of up to eight accounts, in random order: a cent from each but one, to that one. Returns
/// how many rows were written.
async fn round(bank: &Bank) -> i64 {
    let count = rand::random_range(2..=8);
    let mut rows = Vec::new();
    let places = index::sample(&mut rand::rng(), 20, count);
    for place in places {
        let id = i64::try_from(place).unwrap() + 1;
        rows.push(bank.accounts.get(&id).await.unwrap().plus(-1));
    }
    rows[0].cents += i64::try_from(count).unwrap();
    let verdicts = if rand::random_bool(0.5) {
        bank.accounts.update_all(&rows, Bulk::AllOrNothing).await
    } else {
        let run = optilock::postgres::transact(&bank.pool, &PATIENT, async |tx| {
            bank.accounts
                .update_all_in(tx, &rows, Bulk::AllOrNothing)
                .await
        });
        run.await.map_err(|gave_up| gave_up.error)
    };
    let written = verdicts
        .unwrap()
        .iter()
        .filter(|it| it.is_written())
        .count();
    assert!(written == 0 || written == count);
    i64::try_from(written).unwrap()
}

/// In either mode: a row that was left as it was counts as written, and only the failure of the whole
/// statement takes that back.
#[tokio::test]
async fn a_trigger_that_keeps_a_version_fails_the_batch() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.with_accounts(3).await;
            bank.run(keeper).await;
            let rows = [read[1].plus(1), read[2].plus(1)];
            for mode in [Bulk::AllOrNothing, Bulk::Each] {
                match bank.accounts.update_all(&rows, mode).await {
                    Err(error @ Error::Suppressed { .. }) => {
                        assert_eq!(error.class(), Class::Permanent);
                        assert!(error.to_string().contains("account 3"), "{error}");
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(bank.all().await, read);
            let verdicts = bank.accounts.update_all(&rows[..1], Bulk::Each).await;
            assert!(verdicts.unwrap()[0].is_written());
        })
        .await;
    }
}

#[tokio::test]
async fn an_id_of_several_rows_fails_the_batch() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        let read = bank.with_accounts(3).await;
        // At another version: the one row that could be written is not written either.
        bank.run("INSERT INTO bank.child VALUES (2, 'a child', 100, 9)")
            .await;
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        for mode in [Bulk::AllOrNothing, Bulk::Each] {
            match bank.accounts.update_all(&rows, mode).await {
                Err(error @ Error::SchemaMismatch { .. }) => {
                    assert!(
                        error.to_string().contains("id 2 names several rows"),
                        "{error}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bank.sum().await, 400);
        let verdicts = bank.accounts.update_all(&rows[..1], Bulk::Each).await;
        assert!(verdicts.unwrap()[0].is_written());
    })
    .await;
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Person {
    name: String,
    cents: i64,
    version: Version,
}

versioned_row! { Person in "bank.people" {
    entity: "person", id: name: String, version: version, columns: [cents],
} }

/// What is one id for the database is given once, however often it is spelt differently.
#[tokio::test]
async fn ids_that_a_collation_holds_to_be_equal() {
    everywhere(async |bank| {
        bank.run(
            "CREATE COLLATION bank.whatever_case
                 (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
             CREATE TABLE bank.people (name text COLLATE bank.whatever_case PRIMARY KEY,
                 cents bigint NOT NULL, version bigint NOT NULL DEFAULT 1);
             INSERT INTO bank.people VALUES ('ana', 1, 1), ('bea', 2, 1)",
        )
        .await;
        let people = PgRepository::<Person>::new(bank.pool.clone());
        people.verify().await.unwrap();
        let read = [
            people.get(&"ana".to_owned()).await.unwrap(),
            people.get(&"BEA".to_owned()).await.unwrap(),
        ];
        let mut twice = vec![read[1].clone(), read[0].clone(), read[0].clone()];
        "ANA".clone_into(&mut twice[2].name);
        for stale in [false, true] {
            for mode in [Bulk::AllOrNothing, Bulk::Each] {
                if stale {
                    twice[2].version = Version::new(7).unwrap();
                }
                match people.update_all(&twice, mode).await {
                    Err(Error::RepeatedId { entity, id }) => {
                        assert_eq!((entity, &*id), ("person", "ANA"));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(people.get(&"ANA".to_owned()).await.unwrap(), read[0]);
        // Given once, whatever its case.
        let mut once = [read[0].clone(), read[1].clone()];
        "ANA".clone_into(&mut once[0].name);
        let verdicts = people.update_all(&once, Bulk::AllOrNothing).await.unwrap();
        assert!(verdicts.iter().all(WriteOutcome::is_written));
    })
    .await;
}
