//! Rows that are inserted or written over.

use optilock::{
    Class, Classify,
    postgres::{ErrorKind, PgRepository, WriteOutcome},
    sqlx,
};

use crate::{
    postgres::{
        repository::assertions::{run_blocked, version},
        row::kiln::{bare, full, inserted, kilns, written},
    },
    support::{
        bank::{Account, Bank, KEEPERS, PLACES, everywhere, until_waiting},
        db::{Db, Default},
    },
};

/// The last writer wins, and is counted: a writer that has read the row before receives a conflict.
#[tokio::test]
async fn an_upsert_inserts_or_writes_over() {
    everywhere(async |bank| {
        let read = bank.account(2, 1).await;
        let rows = [7, 2, 5].map(|id| Account::new(id, 100));
        let outcomes = bank.accounts.upsert_all(&rows).await.unwrap();
        let second = Account {
            version: version(2),
            ..rows[1].clone()
        };
        assert_eq!(
            outcomes,
            [
                WriteOutcome::Written(rows[0].clone()),
                WriteOutcome::Written(second),
                WriteOutcome::Written(rows[2].clone()),
            ]
        );
        let conflict = bank.accounts.update(&read.plus(5)).await.unwrap_err();
        assert_eq!(conflict.conflict().unwrap().actual, version(2));
        // The version of the argument is that of a new row only.
        let mut new = Account::new(9, 1);
        new.version = version(40);
        assert_eq!(bank.accounts.upsert(&new).await.unwrap(), new);
        new.version = version(1);
        let again = bank.accounts.upsert(&new).await.unwrap();
        assert_eq!(again.version, version(41));
        assert_eq!(bank.accounts.upsert_all(&[]).await.unwrap(), []);
        let most: Vec<Account> = (0..10_000).map(|id| Account::new(id, 3)).collect();
        let outcomes = bank.accounts.upsert_all(&most).await.unwrap();
        assert!(outcomes.iter().all(WriteOutcome::is_written));
        assert_eq!(bank.sum().await, 30_000);
    })
    .await;
}

#[tokio::test]
async fn repeated_ids_and_too_many_rows_are_refused() {
    everywhere(async |bank| {
        let twice = [1, 2, 1].map(|id| Account::new(id, 100));
        let refused = bank.accounts.upsert_all(&twice).await.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.id()),
            (ErrorKind::RepeatedId, Some("1"))
        );
        let many: Vec<Account> = (0..10_001).map(|id| Account::new(id, 0)).collect();
        let refused = bank.accounts.upsert_all(&many).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::TooManyRows);
        assert_eq!(bank.all().await, []);
    })
    .await;
}

/// A row that another writer writes, inserts or deletes while the statement waits is written all the same, by one
/// version more than that writer's.
#[tokio::test]
async fn an_upsert_that_waited_writes_over_the_current_row() {
    for how in ["written", "inserted", "deleted"] {
        everywhere(async |bank| {
            let read = bank.with_accounts(2).await;
            let mut other = bank.pool.begin().await.unwrap();
            let accounts = &bank.accounts;
            let (rows, expected) = match how {
                "written" => {
                    accounts
                        .update_in(&mut other, &read[1].plus(1))
                        .await
                        .unwrap();
                    ([1, 2].map(|id| Account::new(id, 7)), [2, 3])
                }
                "inserted" => {
                    let new = Account::new(3, 1);
                    accounts.insert_in(&mut other, &new).await.unwrap();
                    ([1, 3].map(|id| Account::new(id, 7)), [2, 2])
                }
                _ => {
                    let deleted = accounts.delete_in(&mut other, &2, read[1].version).await;
                    deleted.unwrap();
                    ([1, 2].map(|id| Account::new(id, 7)), [2, 1])
                }
            };
            let outcomes = run_blocked(&bank.pool, accounts.upsert_all(&rows), async {
                other.commit().await.unwrap();
            });
            let outcomes = outcomes.await.unwrap();
            for ((row, outcome), expected) in rows.iter().zip(outcomes).zip(expected) {
                let written = Account {
                    version: version(expected),
                    ..row.clone()
                };
                assert_eq!(outcome, WriteOutcome::Written(written.clone()));
                assert_eq!(accounts.get(&row.id).await.unwrap(), written);
            }
        })
        .await;
    }
}

/// The same in a transaction of the host, whose level decides.
#[tokio::test]
async fn an_upsert_in_a_transaction_waits_or_is_aborted() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        let mut other = bank.pool.begin().await.unwrap();
        let moved = bank.accounts.update_in(&mut other, &read[1].plus(1)).await;
        moved.unwrap();
        let rows = [2, 1].map(|id| Account::new(id, 7));
        let mut tx = bank.pool.begin().await.unwrap();
        let upsert = async {
            let outcomes = bank.accounts.upsert_all_in(&mut tx, &rows).await?;
            tx.commit().await?;
            Ok::<_, optilock::postgres::Error>(outcomes)
        };
        let outcomes = run_blocked(&bank.pool, upsert, async { other.commit().await.unwrap() });
        match outcomes.await {
            Ok(outcomes) => {
                assert_eq!(bank.place.default, Default::ReadCommitted);
                assert!(outcomes.iter().all(WriteOutcome::is_written));
                assert_eq!(bank.accounts.get(&2).await.unwrap().version, version(3));
            }
            Err(error) => {
                assert_ne!(bank.place.default, Default::ReadCommitted);
                assert_eq!(error.kind(), ErrorKind::Serialization);
                assert_eq!(bank.accounts.get(&1).await.unwrap(), read[0]);
            }
        }
    })
    .await;
}

/// The statement counts an unchanged row as written, so it has to fail as a whole.
#[tokio::test]
async fn a_trigger_that_keeps_a_version_fails_the_upsert() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.with_accounts(3).await;
            bank.run(keeper).await;
            let rows = [2, 3, 4].map(|id| Account::new(id, 7));
            let refused = bank.accounts.upsert_all(&rows).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
            assert_eq!(refused.class(), Class::Permanent);
            assert_eq!(refused.id(), Some("3"));
            assert_eq!(bank.all().await, read);
            let outcomes = bank.accounts.upsert_all(&rows[..1]).await.unwrap();
            assert!(outcomes[0].is_written());
        })
        .await;
    }
}

/// Another writer moves the row on while the statement waits, and the trigger keeps that version: it is greater
/// than the version in the statement's snapshot.
#[tokio::test]
async fn a_version_that_is_kept_after_a_wait_is_noticed() {
    everywhere(async |bank| {
        let read = bank.with_accounts(1).await;
        bank.run(
            "CREATE FUNCTION bank.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
             CREATE TRIGGER keep BEFORE UPDATE ON bank.accounts FOR EACH ROW WHEN (NEW.cents = 7)
                 EXECUTE FUNCTION bank.keep()",
        )
        .await;
        let mut other = bank.pool.begin().await.unwrap();
        let current = bank.accounts.update_in(&mut other, &read[0].plus(1)).await;
        let current = current.unwrap();
        let row = Account::new(1, 7);
        let upsert = bank.accounts.upsert(&row);
        let refused = run_blocked(&bank.pool, upsert, async { other.commit().await.unwrap() });
        let refused = refused.await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
        assert_eq!(bank.all().await, [current]);
    })
    .await;
}

#[tokio::test]
async fn a_swallowed_write_is_suppressed() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        bank.run(
            "CREATE FUNCTION bank.swallow() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
             CREATE TRIGGER swallow BEFORE UPDATE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.swallow()",
        )
        .await;
        let rows = [1, 2, 3].map(|id| Account::new(id, 7));
        let outcomes = bank.accounts.upsert_all(&rows).await.unwrap();
        assert!(outcomes[0].is_written() && outcomes[2].is_written());
        assert_eq!(outcomes[1], WriteOutcome::Suppressed);
        // Each of the others was written once.
        let versions = bank.all().await.into_iter().map(|it| it.version.get());
        assert_eq!(versions.collect::<Vec<_>>(), [2, 1, 1]);
        assert_eq!(bank.accounts.get(&2).await.unwrap(), read[1]);
        let refused = bank.accounts.upsert(&rows[1]).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Suppressed);
    })
    .await;
}

/// A statement that writes nothing stores nothing either, before the call begins again.
#[tokio::test]
async fn what_a_trigger_does_instead_of_the_write_is_done_once() {
    everywhere(async |bank| {
        bank.with_accounts(2).await;
        bank.run(
            "CREATE TABLE bank.instead (id bigint);
             CREATE FUNCTION bank.instead() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN INSERT INTO bank.instead VALUES (NEW.id); RETURN NULL; END';
             CREATE TRIGGER instead BEFORE UPDATE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.instead()",
        )
        .await;
        let rows = [1, 2].map(|id| Account::new(id, 7));
        let outcomes = bank.accounts.upsert_all(&rows).await.unwrap();
        assert_eq!(outcomes, [const { WriteOutcome::Suppressed }; 2]);
        let instead = sqlx::query_scalar("SELECT array_agg(id ORDER BY id) FROM bank.instead");
        let instead: Vec<i64> = instead.fetch_one(&bank.pool).await.unwrap();
        assert_eq!(instead, [1, 2]);
    })
    .await;
}

/// Columns of every kind, with an expression of `on_update`.
#[tokio::test]
async fn all_kinds_of_columns_are_inserted_and_written_over() {
    let db = Db::empty().await;
    let kilns = kilns(&db.pool).await;
    let rows = [full("b"), bare("a")];
    let outcomes = kilns.upsert_all(&rows).await.unwrap();
    let new = rows.clone().map(inserted);
    assert_eq!(outcomes, new.clone().map(WriteOutcome::Written));
    let swapped = [bare("b"), full("a")];
    let outcomes = kilns.upsert_all(&swapped).await.unwrap();
    let over = swapped.map(|row| written(row, version(1)));
    assert_eq!(outcomes, over.map(WriteOutcome::Written));
    let more = [full("c"), bare("d")];
    let outcomes = kilns.insert_all(&more).await.unwrap();
    assert_eq!(
        outcomes,
        more.map(|row| WriteOutcome::Written(inserted(row)))
    );
}

/// Literals of `on_update` have the types of their columns, as in an update.
#[tokio::test]
async fn expressions_mean_the_same_as_in_an_update() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Note {
        id: i64,
        text: String,
        state: String,
        at: String,
        version: optilock::Version,
    }
    optilock::versioned_row! { Note in "public.notes" {
        entity: "note", id: id: i64, version: version, columns: [text],
        on_update: [state: "'{\"changed\": true}'", at: "lower(text) || excluded"], only: "excluded IS NOT NULL",
    } }
    let db = Db::empty().await;
    let table = "CREATE TABLE public.notes (id bigint PRIMARY KEY, text text NOT NULL,
        state varchar(40) NOT NULL DEFAULT '', at text NOT NULL DEFAULT '', excluded text DEFAULT 'x',
        version bigint NOT NULL)";
    sqlx::raw_sql(table).execute(&db.pool).await.unwrap();
    let notes = PgRepository::<Note>::new(db.pool.clone());
    notes.verify().await.unwrap();
    let note = Note {
        id: 1,
        text: "One".to_owned(),
        state: String::new(),
        at: String::new(),
        version: version(1),
    };
    let second = Note {
        id: 2,
        ..note.clone()
    };
    for row in [&note, &second] {
        assert_eq!(&notes.upsert(row).await.unwrap(), row);
    }
    let two = Note {
        text: "Two".to_owned(),
        ..note.clone()
    };
    let upserted = notes.upsert(&two).await.unwrap();
    let updated = notes.update(&Note { id: 2, ..two }).await.unwrap();
    assert_eq!(upserted, Note { id: 1, ..updated });
    assert_eq!((&*upserted.at, upserted.version), ("onex", version(2)));
}

/// Upserts of the same rows in opposite orders wait for each other, in the order of the ids.
#[tokio::test]
async fn opposite_orders_do_not_deadlock() {
    let bank = Bank::open(PLACES[0]).await;
    let mut other = bank.pool.begin().await.unwrap();
    bank.accounts
        .insert_in(&mut other, &Account::new(1, 0))
        .await
        .unwrap();
    let rows = [2, 1].map(|id| Account::new(id, 7));
    let upsert = bank.accounts.upsert_all(&rows);
    let release = async {
        until_waiting(&bank.pool).await;
        // It waits for row 1, and has not taken row 2.
        bank.accounts
            .insert_in(&mut other, &Account::new(2, 0))
            .await
            .unwrap();
        other.commit().await.unwrap();
    };
    let (outcomes, ()) = tokio::join!(upsert, release);
    assert!(outcomes.unwrap().iter().all(WriteOutcome::is_written));
    assert_eq!(bank.sum().await, 14);
}
