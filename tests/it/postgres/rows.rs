//! One row at a time: what the test suites of ActiveRecord (locking), Ecto (optimistic_lock),
//! SQLAlchemy (version_id_col) and Hibernate (@Version) ask of a versioned row, and what happens in
//! transactions.

use optilock::{
    Class, Classify, Version,
    postgres::{Bulk, Error, WriteOutcome, transact},
    sqlx::{self, Connection},
};

use tokio::task::JoinSet;

use crate::{
    support::bank::{
        Account, Bank, CHILD, KEEPERS, PATIENT, as_clerk, everywhere, transaction, until_waiting,
    },
    support::db::Default,
};

fn version(value: i64) -> Version {
    Version::new(value).unwrap()
}

#[track_caller]
fn assert_conflict<T: std::fmt::Debug>(result: Result<T, Error>, expected: i64, actual: i64) {
    match result {
        Err(Error::Conflict(conflict)) => {
            assert_eq!(conflict.entity, "account");
            assert_eq!(conflict.id, "1");
            assert_eq!(
                (conflict.expected, conflict.actual),
                (version(expected), version(actual))
            );
        }
        other => panic!("not a conflict: {other:?}"),
    }
}

#[track_caller]
fn assert_not_found<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(Error::NotFound { entity, id }) => assert_eq!((entity, &*id), ("account", "1")),
        other => panic!("found: {other:?}"),
    }
}

#[tokio::test]
async fn an_update_returns_the_row_one_version_later_and_changes_nothing_it_was_given() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mine = read.plus(5);
        let written = bank.accounts.update(&mine).await.unwrap();
        assert_eq!(mine, read.plus(5));
        assert_eq!((written.cents, written.version), (105, version(2)));
        assert_eq!(bank.accounts.get(&1).await.unwrap(), written);
    })
    .await;
}

#[tokio::test]
async fn a_stale_update_is_refused_and_told_both_versions() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let first = bank.accounts.update(&read.plus(5)).await.unwrap();
        assert_conflict(bank.accounts.update(&read.plus(7)).await, 1, 2);
        assert_eq!(bank.accounts.get(&1).await.unwrap(), first);
        let verdict = bank.accounts.compare_and_set(&read.plus(7)).await.unwrap();
        assert_eq!(verdict, WriteOutcome::Stale(first));
    })
    .await;
}

/// While the first writer's transaction is open, the second waits; then it has lost.
#[tokio::test]
async fn an_update_that_waited_for_another_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        for lose in [true, false] {
            let read = bank.accounts.get(&1).await.unwrap().plus(read.cents);
            let mut first = bank.pool.begin().await.unwrap();
            bank.accounts
                .update_in(&mut first, &read.plus(5))
                .await
                .unwrap();
            let mine = read.plus(7);
            let second = bank.accounts.update(&mine);
            let ending = async {
                bank.waits().await;
                if lose {
                    first.commit().await.unwrap();
                } else {
                    first.rollback().await.unwrap();
                }
            };
            let (second, ()) = tokio::join!(second, ending);
            let was = read.version.get();
            if lose {
                assert_conflict(second, was, was + 1);
            } else {
                assert_eq!(second.unwrap().cents, mine.cents);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_stale_delete_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.accounts.update(&read.plus(5)).await.unwrap();
        assert_conflict(bank.accounts.delete(&1, read.version).await, 1, 2);
        bank.accounts.delete(&1, version(2)).await.unwrap();
        assert_eq!(bank.accounts.find(&1).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn a_delete_that_waited_for_an_update_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mut first = bank.pool.begin().await.unwrap();
        bank.accounts
            .update_in(&mut first, &read.plus(5))
            .await
            .unwrap();
        let ending = async {
            bank.waits().await;
            first.commit().await.unwrap();
        };
        let (second, ()) = tokio::join!(bank.accounts.delete(&1, read.version), ending);
        assert_conflict(second, 1, 2);
        let mut first = bank.pool.begin().await.unwrap();
        bank.accounts
            .touch_in(&mut first, &1, version(2))
            .await
            .unwrap();
        let ending = async {
            bank.waits().await;
            first.commit().await.unwrap();
        };
        let (second, ()) = tokio::join!(bank.accounts.touch(&1, version(2)), ending);
        assert_conflict(second, 2, 3);
    })
    .await;
}

#[tokio::test]
async fn what_is_deleted_can_be_neither_deleted_updated_touched_nor_read() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.accounts.delete(&1, read.version).await.unwrap();
        assert_not_found(bank.accounts.delete(&1, read.version).await);
        assert_not_found(bank.accounts.update(&read.plus(5)).await);
        assert_not_found(bank.accounts.touch(&1, read.version).await);
        assert_not_found(bank.accounts.get(&1).await);
        assert_not_found(bank.accounts.get_at(&1, read.version).await);
        let verdict = bank.accounts.compare_and_set(&read).await.unwrap();
        assert_eq!(verdict, WriteOutcome::NotFound);
    })
    .await;
}

#[tokio::test]
async fn a_touch_counts_the_version_and_nothing_else() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        assert_eq!(
            bank.accounts.touch(&1, read.version).await.unwrap(),
            version(2)
        );
        let touched = bank.accounts.get(&1).await.unwrap();
        assert_eq!((touched.cents, touched.version), (100, version(2)));
        assert_conflict(bank.accounts.touch(&1, read.version).await, 1, 2);
    })
    .await;
}

/// Unlike some, a write is a write also when it changes no value: the version grows, and who had
/// read before is refused.
#[tokio::test]
async fn an_update_without_a_change_counts_the_version() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        assert_eq!(
            bank.accounts.update(&read).await.unwrap().version,
            version(2)
        );
        assert_conflict(bank.accounts.update(&read).await, 1, 2);
    })
    .await;
}

#[tokio::test]
async fn two_updates_in_one_transaction() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let twice = transaction!(bank, conn => {
            let once = bank.accounts.update_in(conn, &read.plus(5)).await.unwrap();
            assert_conflict(bank.accounts.update_in(conn, &read.plus(9)).await, 1, 2);
            bank.accounts.update_in(conn, &once.plus(5)).await.unwrap()
        });
        assert_eq!((twice.cents, twice.version), (110, version(3)));
        assert_eq!(bank.accounts.get(&1).await.unwrap(), twice);
    })
    .await;
}

#[tokio::test]
async fn after_a_rollback_the_same_row_can_be_written_again() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mine = read.plus(5);
        let mut transaction = bank.pool.begin().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &mine)
            .await
            .unwrap();
        transaction.rollback().await.unwrap();
        // The value still has the version that was read: nothing was changed in it.
        let written = bank.accounts.update(&mine).await.unwrap();
        assert_eq!((written.cents, written.version), (105, version(2)));

        let mut transaction = bank.pool.begin().await.unwrap();
        let mut savepoint = transaction.begin().await.unwrap();
        bank.accounts
            .update_in(&mut savepoint, &written.plus(1))
            .await
            .unwrap();
        savepoint.rollback().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &written.plus(2))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(bank.accounts.get(&1).await.unwrap().cents, 107);
    })
    .await;
}

#[tokio::test]
async fn versions_begin_at_one_by_default_or_where_the_row_says() {
    everywhere(async |bank| {
        bank.run("INSERT INTO bank.accounts (id, owner, cents) VALUES (1, 'by hand', 7)")
            .await;
        let by_hand = bank.accounts.get(&1).await.unwrap();
        assert_eq!(by_hand.version, Version::FIRST);
        bank.accounts.update(&by_hand).await.unwrap();

        let mut later = Account::new(2, 0);
        later.version = version(41);
        let inserted = bank.accounts.insert(&later).await.unwrap();
        assert_eq!(inserted, later);
        assert_eq!(
            bank.accounts.update(&inserted).await.unwrap().version,
            version(42)
        );
    })
    .await;
}

#[tokio::test]
async fn an_insert_of_what_is_there_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        match bank.accounts.insert(&Account::new(1, 7)).await {
            Err(Error::AlreadyExists { id, constraint, .. }) => {
                assert_eq!(id, "1");
                assert!(constraint.starts_with("accounts"), "{constraint}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
    })
    .await;
}

#[tokio::test]
async fn the_last_version_is_an_error_and_not_the_first_again() {
    everywhere(async |bank| {
        let mut last = Account::new(1, 0);
        last.version = version(i64::MAX);
        let last = bank.accounts.insert(&last).await.unwrap();
        let results = [
            bank.accounts.update(&last.plus(1)).await.map(drop),
            bank.accounts.touch(&1, last.version).await.map(drop),
        ];
        for result in results {
            match result {
                Err(Error::VersionExhausted { entity, id }) => {
                    assert_eq!((entity, &*id), ("account", "1"));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap(), last);
        bank.accounts.delete(&1, last.version).await.unwrap();
    })
    .await;
}

/// A form that was open for an hour: the version comes from the client, not from a fresh read.
#[tokio::test]
async fn a_clients_old_version_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let now = bank.accounts.update(&read.plus(5)).await.unwrap();
        let mut edited = bank.accounts.get(&1).await.unwrap();
        edited.version = Version::from_etag("\"1\"").unwrap();
        assert_conflict(bank.accounts.update(&edited).await, 1, 2);
        assert_conflict(bank.accounts.get_at(&1, edited.version).await, 1, 2);
        assert_eq!(
            bank.accounts.get_at(&1, now.version).await.unwrap(),
            now.clone()
        );
        // From the future, too: it was never read here.
        edited.version = version(9);
        assert_conflict(bank.accounts.update(&edited).await, 9, 2);
    })
    .await;
}

#[tokio::test]
async fn a_locked_row_is_current_and_waited_for() {
    everywhere(async |bank| {
        bank.account(1, 100).await;
        let mut first = bank.pool.begin().await.unwrap();
        let locked = bank.accounts.lock_in(&mut first, &1).await.unwrap();
        let mine = locked.plus(7);
        let second = bank.accounts.update(&mine);
        let ending = async {
            bank.waits().await;
            bank.accounts
                .update_in(&mut first, &locked.plus(5))
                .await
                .unwrap();
            first.commit().await.unwrap();
        };
        let (second, ()) = tokio::join!(second, ending);
        assert_conflict(second, 1, 2);
        let mut conn = bank.pool.acquire().await.unwrap();
        let nobody = bank.accounts.lock_in(&mut conn, &2).await;
        assert!(nobody.unwrap_err().is_not_found());
    })
    .await;
}

/// The price list behind an order: it may not change until the order is in.
#[tokio::test]
async fn what_is_asserted_stays_until_the_end_of_the_transaction() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mut first = bank.pool.begin().await.unwrap();
        let mut other = bank.pool.begin().await.unwrap();
        for reader in [&mut first, &mut other] {
            bank.accounts
                .assert_current_in(reader, &1, read.version)
                .await
                .unwrap();
            let stale = bank.accounts.assert_current_in(reader, &1, version(9));
            assert_conflict(stale.await, 9, 1);
        }
        other.commit().await.unwrap();
        let mine = read.plus(5);
        let ending = async {
            bank.waits().await;
            first.commit().await.unwrap();
        };
        let (written, ()) = tokio::join!(bank.accounts.update(&mine), ending);
        assert_eq!(written.unwrap().version, version(2));
    })
    .await;
}

/// In a transaction of the host's own: READ COMMITTED tells the current version, the others abort.
#[tokio::test]
async fn who_loses_within_a_transaction_is_told_as_much_as_the_level_allows() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let mut slow = bank.pool.begin().await.unwrap();
        sqlx::query("SELECT 1").execute(&mut *slow).await.unwrap();
        bank.accounts.get_in(&mut slow, &1).await.unwrap();
        bank.accounts.update(&read.plus(5)).await.unwrap();
        let lost = bank.accounts.update_in(&mut slow, &read.plus(7)).await;
        match bank.place.default {
            Default::ReadCommitted => assert_conflict(lost, 1, 2),
            _ => {
                let lost = lost.unwrap_err();
                assert!(matches!(lost, Error::Serialization(_)), "{lost:?}");
                assert_eq!(lost.class(), Class::Conflict);
            }
        }
        slow.rollback().await.unwrap();
        // Which is what `transact` is for.
        let written = transact(&bank.pool, &PATIENT, async |tx| {
            let row = bank.accounts.lock_in(tx, &1).await?;
            bank.accounts.update_in(tx, &row.plus(7)).await
        })
        .await
        .unwrap();
        assert_eq!((written.cents, written.version), (112, version(3)));
    })
    .await;
}

#[tokio::test]
async fn a_write_that_a_trigger_swallows_is_neither_stale_nor_gone() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.run(
            "CREATE FUNCTION bank.swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
             CREATE TRIGGER swallow BEFORE INSERT OR UPDATE OR DELETE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.swallow()",
        )
        .await;
        for result in [
            bank.accounts.update(&read.plus(5)).await.map(drop),
            bank.accounts.touch(&1, read.version).await.map(drop),
            bank.accounts.delete(&1, read.version).await,
            bank.accounts.insert(&Account::new(1, 0)).await.map(drop),
        ] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::Suppressed { .. }), "{error:?}");
            assert_eq!(error.class(), Class::Permanent);
        }
        let verdict = bank.accounts.compare_and_set(&read).await.unwrap();
        assert_eq!(verdict, WriteOutcome::Suppressed);
        let mut stale = read.plus(5);
        stale.version = version(4);
        assert_conflict(bank.accounts.update(&stale).await, 4, 1);
    })
    .await;
}

/// An order and its lines: whoever changes a line touches the order, so two that change different
/// lines at once meet there, and a rule over all lines holds.
#[tokio::test]
async fn an_aggregate_is_guarded_by_its_root() {
    everywhere(async |bank| {
        bank.run(
            "CREATE TABLE bank.entries (account bigint, cents bigint NOT NULL);
             INSERT INTO bank.accounts VALUES (1, 'both', 0, 1)",
        )
        .await;
        let mut writers = JoinSet::new();
        for _ in 0..8 {
            let bank = bank.clone();
            writers.spawn(async move { enter_30_of_100(&bank).await });
        }
        let made = writers.join_all().await;
        assert_eq!(made.into_iter().filter(|&made| made).count(), 3);
        let root = bank.accounts.get(&1).await.unwrap();
        assert_eq!(root.version, version(4));
    })
    .await;
}

/// At most 100 over all entries of the account.
async fn enter_30_of_100(bank: &Bank) -> bool {
    let entered = transact(&bank.pool, &PATIENT, async |tx| {
        let root = bank.accounts.get_in(tx, &1).await?;
        let sum = "SELECT coalesce(sum(cents), 0)::bigint FROM bank.entries WHERE account = 1";
        let sum: i64 = sqlx::query_scalar(sum).fetch_one(&mut **tx).await?;
        if sum + 30 > 100 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO bank.entries VALUES (1, 30)")
            .execute(&mut **tx)
            .await?;
        bank.accounts.touch_in(tx, &1, root.version).await?;
        Ok::<_, Error>(true)
    });
    entered.await.unwrap()
}

#[tokio::test]
async fn a_row_that_moves_to_another_partition_is_a_conflict() {
    let db = crate::support::db::Db::empty().await;
    sqlx::raw_sql(
        "CREATE SCHEMA bank;
         CREATE TABLE bank.accounts (id bigint, owner text NOT NULL, cents bigint NOT NULL,
             version bigint NOT NULL, PRIMARY KEY (id, owner)) PARTITION BY LIST (owner);
         CREATE TABLE bank.north PARTITION OF bank.accounts FOR VALUES IN ('north');
         CREATE TABLE bank.south PARTITION OF bank.accounts FOR VALUES IN ('south')",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let accounts = optilock::postgres::PgRepository::<Account>::new(db.pool.clone());
    let mut read = Account::new(1, 100);
    "north".clone_into(&mut read.owner);
    let read = accounts.insert(&read).await.unwrap();
    let mut mover = db.pool.begin().await.unwrap();
    let mut moved = read.clone();
    "south".clone_into(&mut moved.owner);
    accounts.update_in(&mut mover, &moved).await.unwrap();
    let mine = read.plus(5);
    let ending = async {
        until_waiting(&db.pool).await;
        mover.commit().await.unwrap();
    };
    let (lost, ()) = tokio::join!(accounts.update(&mine), ending);
    assert_conflict(lost, 1, 2);
}

/// An edit that takes another row's unique value is an everyday refusal, not a failure.
#[tokio::test]
async fn an_update_that_takes_what_is_unique() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return; // An index without the key of the partitions can't be unique there.
        }
        bank.run("CREATE UNIQUE INDEX one_owner ON bank.accounts (owner)")
            .await;
        let first = bank.account(1, 0).await;
        let mut second = bank.account(2, 0).await;
        second.owner.clone_from(&first.owner);
        let bulk = std::slice::from_ref(&second);
        for refused in [
            bank.accounts.update(&second).await.map(drop),
            bank.accounts.update_all(bulk, Bulk::Each).await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(
                refused.to_string(),
                "account 2 can't be written: what one_owner keeps unique is taken"
            );
            assert_eq!(refused.http_status(), 409);
        }
    })
    .await;
}

/// A policy that shows a row and protects it from writers: the same answer, with a lock and without.
#[tokio::test]
async fn a_protected_row_is_suppressed_however_it_is_written() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.run(
            "ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY sees ON bank.accounts FOR SELECT USING (true);
             CREATE POLICY writes ON bank.accounts FOR UPDATE USING (id <> 1)",
        )
        .await;
        as_clerk!(bank, conn => {
            for refused in [
                bank.accounts.update_in(conn, &read).await.map(drop),
                bank.accounts.lock_in(conn, &1).await.map(drop),
                bank.accounts.assert_current_in(conn, &1, read.version).await,
                bank.accounts.modify_in::<_, Error>(conn, &1, |_| Ok(())).await.map(drop),
            ] {
                let refused = refused.unwrap_err();
                assert!(matches!(refused, Error::Suppressed { .. }), "{refused:?}");
            }
            assert!(bank.accounts.lock_in(conn, &2).await.unwrap_err().is_not_found());
        });
    })
    .await;
}

/// Two writers at one version would both be told that they had written, and the first one's write
/// would be lost.
#[tokio::test]
async fn a_trigger_that_keeps_the_version_suppresses_the_write() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.account(1, 100).await;
            let other = bank.account(2, 100).await;
            bank.run(keeper).await;
            for result in [
                bank.accounts.update(&read.plus(5)).await.map(drop),
                bank.accounts.update(&read.plus(7)).await.map(drop),
                bank.accounts.touch(&1, read.version).await.map(drop),
            ] {
                let error = result.unwrap_err();
                assert!(matches!(error, Error::Suppressed { .. }), "{error:?}");
                assert!(error.to_string().contains("account 1"), "{error}");
                assert_eq!(error.class(), Class::Permanent);
            }
            let verdict = bank.accounts.compare_and_set(&read.plus(5)).await.unwrap();
            assert_eq!(verdict, WriteOutcome::Suppressed);
            assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
            let mut stale = read.plus(5);
            stale.version = version(4);
            assert_conflict(bank.accounts.update(&stale).await, 4, 1);

            // A trigger has no say in these.
            assert_eq!(
                bank.accounts.update(&other).await.unwrap().version,
                version(2)
            );
            bank.accounts.delete(&1, read.version).await.unwrap();
        })
        .await;
    }
}

/// In a transaction the statement has failed: the answer is an error and no verdict, and what was
/// written before is not committed unless the write stood in a savepoint.
#[tokio::test]
async fn a_suppressed_write_aborts_the_transaction_but_not_what_is_outside_of_its_savepoint() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        let other = bank.account(2, 100).await;
        bank.run(KEEPERS[0]).await;
        let mut transaction = bank.pool.begin().await.unwrap();
        let mut savepoint = transaction.begin().await.unwrap();
        let error = bank
            .accounts
            .compare_and_set_in(&mut savepoint, &read.plus(5))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Suppressed { .. }), "{error:?}");
        savepoint.rollback().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &other.plus(5))
            .await
            .unwrap();
        transaction.commit().await.unwrap();
        assert_eq!(bank.accounts.get(&2).await.unwrap().cents, 105);

        let mut transaction = bank.pool.begin().await.unwrap();
        bank.accounts
            .update_in(&mut transaction, &read.plus(5))
            .await
            .unwrap_err();
        let refused = bank
            .accounts
            .get_in(&mut transaction, &2)
            .await
            .unwrap_err();
        assert!(
            refused.to_string().contains("database failed"),
            "{refused:?}"
        );
        transaction.rollback().await.unwrap();
        assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
    })
    .await;
}

/// A trigger that counts on from what it is given lets the version grow.
#[tokio::test]
async fn a_trigger_that_counts_further_is_no_hindrance() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        bank.run(
            "CREATE FUNCTION bank.count() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN NEW.version := NEW.version + 1; RETURN NEW; END';
             CREATE TRIGGER counts BEFORE UPDATE ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.count()",
        )
        .await;
        let written = bank.accounts.update(&read.plus(5)).await.unwrap();
        assert_eq!((written.cents, written.version), (105, version(3)));
        let touched = bank.accounts.touch(&1, written.version).await.unwrap();
        assert_eq!(touched, version(5));
    })
    .await;
}

/// A table that inherits from accounts may have the same id once more.
#[tokio::test]
async fn an_id_of_several_rows_writes_none() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        let read = bank.account(1, 100).await;
        bank.run("INSERT INTO bank.child VALUES (1, 'a child', 7, 1), (2, 'alone', 7, 1)")
            .await;
        for result in [
            bank.accounts.update(&read.plus(5)).await.map(drop),
            bank.accounts.touch(&1, read.version).await.map(drop),
            bank.accounts.delete(&1, read.version).await,
            bank.accounts.compare_and_set(&read.plus(5)).await.map(drop),
        ] {
            assert_several(result);
        }
        assert_eq!(bank.sum().await, 114);
        assert_eq!(
            bank.accounts.touch(&2, version(1)).await.unwrap(),
            version(2)
        );
    })
    .await;
}

#[track_caller]
fn assert_several<T: std::fmt::Debug>(result: Result<T, Error>) {
    match result {
        Err(error @ Error::SchemaMismatch { .. }) => {
            assert_eq!(error.class(), Class::Permanent);
            assert!(
                error.to_string().contains("id 1 names several rows"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}
