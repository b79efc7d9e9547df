//! Inserts of many rows.

use optilock::{
    Version,
    postgres::{Bulk, ErrorKind, PgRepository, WriteOutcome, transact},
    sqlx, versioned_row,
};

use crate::{
    postgres::repository::assertions::{run_blocked, version},
    support::{
        bank::{Account, Bank, PATIENT, PLACES, everywhere},
        db::Db,
        proxy::{Cut, Proxy},
        triggers::run,
    },
};

fn accounts(ids: impl IntoIterator<Item = i64>) -> Vec<Account> {
    ids.into_iter().map(|id| Account::new(id, 100)).collect()
}

#[tokio::test]
async fn each_row_is_written_or_already_exists() {
    everywhere(async |bank| {
        let mut rows = accounts([7, 2, 5]);
        rows[2].version = version(9);
        let existing = bank.account(2, 1).await;
        let outcomes = bank.accounts.insert_all(&rows).await.unwrap();
        assert_eq!(
            outcomes,
            [
                WriteOutcome::Written(rows[0].clone()),
                WriteOutcome::AlreadyExists,
                WriteOutcome::Written(rows[2].clone()),
            ]
        );
        assert_eq!(bank.accounts.get(&2).await.unwrap(), existing);
        let outcomes = bank.accounts.insert_all(&rows).await.unwrap();
        assert!(outcomes.iter().all(|it| *it == WriteOutcome::AlreadyExists));
        assert_eq!(bank.all().await.len(), 3);
        assert_eq!(bank.accounts.insert_all(&[]).await.unwrap(), []);
        let most = accounts(10..10_010);
        let outcomes = bank.accounts.insert_all(&most).await.unwrap();
        assert!(outcomes.iter().all(WriteOutcome::is_written));
    })
    .await;
}

#[tokio::test]
async fn repeated_ids_and_too_many_rows_are_refused() {
    everywhere(async |bank| {
        let refused = bank.accounts.insert_all(&accounts([1, 2, 1])).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            (refused.kind(), refused.id()),
            (ErrorKind::RepeatedId, Some("1"))
        );
        let refused = bank.accounts.insert_all(&accounts(0..10_001)).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::TooManyRows);
        assert_eq!(bank.all().await, []);
    })
    .await;
}

/// A row that another transaction inserts at the same time exists when that transaction commits, and not when
/// it is rolled back.
#[tokio::test]
async fn an_insert_waits_for_the_same_row() {
    for commits in [true, false] {
        everywhere(async |bank| {
            let mut other = bank.pool.begin().await.unwrap();
            let theirs = Account::new(2, 7);
            bank.accounts.insert_in(&mut other, &theirs).await.unwrap();
            let rows = accounts([3, 2, 1]);
            let outcomes = run_blocked(&bank.pool, bank.accounts.insert_all(&rows), async {
                if commits {
                    other.commit().await.unwrap();
                } else {
                    other.rollback().await.unwrap();
                }
            });
            let outcomes = outcomes.await.unwrap();
            assert!(outcomes[0].is_written() && outcomes[2].is_written());
            if commits {
                assert_eq!(outcomes[1], WriteOutcome::AlreadyExists);
                assert_eq!(bank.accounts.get(&2).await.unwrap(), theirs);
            } else {
                assert!(outcomes[1].is_written());
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_suppressed_insert_is_reported() {
    everywhere(async |bank| {
        bank.run(
            "CREATE FUNCTION bank.swallow() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN IF NEW.id = 2 THEN RETURN NULL; END IF; RETURN NEW; END';
             CREATE TRIGGER swallow BEFORE INSERT ON bank.accounts
                 FOR EACH ROW EXECUTE FUNCTION bank.swallow()",
        )
        .await;
        let outcomes = bank.accounts.insert_all(&accounts(1..4)).await.unwrap();
        assert_eq!(outcomes[1], WriteOutcome::Suppressed);
        assert!(outcomes[0].is_written() && outcomes[2].is_written());
        let outcomes = bank.accounts.upsert_all(&accounts(1..4)).await.unwrap();
        assert_eq!(outcomes[1], WriteOutcome::Suppressed);
        let versions = bank.all().await.into_iter().map(|it| it.version.get());
        assert_eq!(versions.collect::<Vec<_>>(), [2, 2]);
    })
    .await;
}

/// A trigger that stores a row under another id would make "suppressed" a wrong answer.
#[tokio::test]
async fn an_insert_with_another_id_fails() {
    let bank = Bank::open(PLACES[0]).await;
    bank.run(
        "CREATE FUNCTION bank.rename() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN IF NEW.id = 2 THEN NEW.id := 12; END IF; RETURN NEW; END';
         CREATE TRIGGER rename BEFORE INSERT ON bank.accounts
             FOR EACH ROW EXECUTE FUNCTION bank.rename()",
    )
    .await;
    for rows in [accounts([2]), accounts([1, 2])] {
        for refused in [
            bank.accounts.insert_all(&rows).await,
            bank.accounts.upsert_all(&rows).await,
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
        }
    }
    assert_eq!(bank.all().await, []);
}

#[tokio::test]
async fn another_unique_key_refuses_the_call() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run("CREATE UNIQUE INDEX owners ON bank.accounts (owner)")
            .await;
        bank.account(1, 1).await;
        let mut rows = accounts([2, 3]);
        rows[1].owner = "owner 1".to_owned();
        for refused in [
            bank.accounts.insert_all(&rows).await,
            bank.accounts.upsert_all(&rows).await,
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
            assert_eq!(refused.constraint(), Some("owners"));
        }
        assert_eq!(bank.all().await.len(), 1);
    })
    .await;
}

/// All rows or none, by a transaction of the host's.
#[tokio::test]
async fn a_transaction_inserts_all_rows_or_none() {
    everywhere(async |bank| {
        bank.account(2, 1).await;
        let insert = async |rows: &[Account]| {
            let done = transact(&bank.pool, &PATIENT, async |tx| {
                let outcomes = bank.accounts.insert_all_in(tx, rows).await?;
                match outcomes.iter().all(WriteOutcome::is_written) {
                    true => Ok(()),
                    false => Err(sqlx::Error::RowNotFound.into()),
                }
            });
            let done: Result<(), optilock::RetryError<optilock::postgres::Error>> = done.await;
            done.is_ok()
        };
        assert!(!insert(&accounts([1, 2, 3])).await);
        assert_eq!(bank.all().await.len(), 1);
        assert!(insert(&accounts([1, 3])).await);
        assert_eq!(bank.all().await.len(), 3);
    })
    .await;
}

/// Two ids that only the database compares as equal are one id.
#[tokio::test]
async fn ids_equal_by_collation_are_repeated_ids() {
    #[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
    struct Person {
        name: String,
        cents: i64,
        version: Version,
    }
    versioned_row! { Person in "bank.people" {
        entity: "person", id: name: String, version: version, columns: [cents],
    } }
    let bank = Bank::open(PLACES[0]).await;
    bank.run(
        "CREATE COLLATION bank.whatever_case
             (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE bank.people (name text COLLATE bank.whatever_case PRIMARY KEY,
             cents bigint NOT NULL, version bigint NOT NULL DEFAULT 1)",
    )
    .await;
    let people = PgRepository::<Person>::new(bank.pool.clone());
    let person = |name: &str| Person {
        name: name.to_owned(),
        cents: 1,
        version: Version::FIRST,
    };
    let twice = [person("bea"), person("ana"), person("ANA")];
    for exists in [false, true] {
        for refused in [
            people.insert_all(&twice).await.map(drop),
            people.upsert_all(&twice).await.map(drop),
        ] {
            let refused = refused.unwrap_err();
            assert_eq!(
                (refused.kind(), refused.id()),
                (ErrorKind::RepeatedId, Some("ANA"))
            );
        }
        if !exists {
            people.insert(&person("Ana")).await.unwrap();
        }
    }
    let outcomes = people.insert_all(&twice[..2]).await.unwrap();
    assert!(outcomes[0].is_written());
    assert_eq!(outcomes[1], WriteOutcome::AlreadyExists);
    let outcomes = people.upsert_all(&twice[1..2]).await.unwrap();
    let Some(stored) = outcomes.into_iter().next().and_then(WriteOutcome::into_row) else {
        panic!("it was not written");
    };
    assert_eq!((&*stored.name, stored.version.get()), ("Ana", 2));
    let twice = [
        ("ana".to_owned(), Version::FIRST),
        ("ANA".to_owned(), Version::FIRST),
    ];
    let refused = people.delete_all(&twice, Bulk::Each).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::RepeatedId);
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Ticket {
    id: i32,
    seat: String,
    tags: Vec<String>,
    version: Version,
}

versioned_row! { Ticket in "public.tickets" {
    entity: "ticket", id: id: i32 as generated, version: version, columns: [seat, tags as array],
} }

async fn tickets(more: &str) -> (Db, PgRepository<Ticket>) {
    let db = Db::empty().await;
    let table =
        "CREATE TABLE public.tickets (id int GENERATED ALWAYS AS IDENTITY (START 7) PRIMARY KEY,
        seat text NOT NULL UNIQUE, tags text[] NOT NULL, version bigint NOT NULL)";
    run(&db.pool, format!("{table}; {more}")).await;
    let tickets = PgRepository::new(db.pool.clone());
    (db, tickets)
}

fn ticket(seat: &str) -> Ticket {
    Ticket {
        id: 0,
        seat: seat.to_owned(),
        tags: vec![seat.to_lowercase()],
        version: Version::FIRST,
    }
}

#[tokio::test]
async fn generated_ids_are_returned_in_the_order_given() {
    let (_db, tickets) = tickets("").await;
    let rows = ["C", "A", "B"].map(ticket);
    let outcomes = tickets.insert_all(&rows).await.unwrap();
    let stored: Vec<Ticket> = outcomes
        .into_iter()
        .filter_map(WriteOutcome::into_row)
        .collect();
    let expected: Vec<Ticket> = (7..)
        .zip(&rows)
        .map(|(id, row)| Ticket { id, ..row.clone() })
        .collect();
    assert_eq!(stored, expected);
    let refused = tickets.insert_all(&["D", "A"].map(ticket)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::AlreadyExists);
    assert_eq!(tickets.find(&10).await.unwrap(), None);
    assert_eq!(tickets.insert_all(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_generated_row_that_is_suppressed_fails_the_call() {
    let (_db, tickets) = tickets(
        "CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS
             'BEGIN IF NEW.seat = ''A'' THEN RETURN NULL; END IF; RETURN NEW; END';
         CREATE TRIGGER swallow BEFORE INSERT ON public.tickets
             FOR EACH ROW EXECUTE FUNCTION public.swallow()",
    )
    .await;
    for seats in [&["A"][..], &["C", "A", "B"]] {
        let rows: Vec<Ticket> = seats.iter().copied().map(ticket).collect();
        let refused = tickets.insert_all(&rows).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
    }
    for id in 7..12 {
        assert_eq!(tickets.find(&id).await.unwrap(), None);
    }
}

/// The connection is cut after the inserts were committed and before the question which rows exist.
#[tokio::test(flavor = "multi_thread")]
async fn inserts_cut_off_after_their_write_are_unknown() {
    for (existing, unknown) in [(vec![2], true), (vec![1, 2, 3], false)] {
        let bank = Bank::open(PLACES[0]).await;
        for id in &existing {
            bank.account(*id, 0).await;
        }
        let proxy = Proxy::new(&bank.db).await;
        let through = PgRepository::<Account>::new(proxy.pool(1).await);
        // The Bind message of that query: one binary format, and one parameter, the array of the ids.
        let length = u8::try_from(20 + 12 * existing.len()).unwrap();
        proxy.trap(&[0, 1, 0, 1, 0, 1, 0, 0, 0, length], Cut::Before);
        let lost = through.insert_all(&accounts(1..4)).await.unwrap_err();
        assert_eq!(lost.is_unknown(), unknown, "{lost:?}");
        assert_eq!(lost.is_busy(), !unknown);
        assert!(!proxy.armed());
        assert_eq!(bank.all().await.len(), 3);
    }
}

/// A row of a table that is partitioned by another column than its id.
#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Reading {
    id: i64,
    email: String,
    version: Version,
}

versioned_row! { Reading in "bank.readings" {
    entity: "reading", id: id: i64 as unique, version: version, columns: [email],
} }

#[tokio::test]
async fn an_id_that_no_index_enforces_is_inserted_once() {
    let db = Db::empty().await;
    run(
        &db.pool,
        "CREATE SCHEMA bank;
         CREATE TABLE bank.readings (id bigint NOT NULL, email text NOT NULL, version bigint NOT NULL DEFAULT 1,
             at timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
         CREATE TABLE bank.readings_of_all PARTITION OF bank.readings DEFAULT;
         CREATE UNIQUE INDEX ON bank.readings_of_all (email)",
    )
    .await;
    let readings = PgRepository::<Reading>::new(db.pool.clone());
    let reading = |id, email: &str| Reading {
        id,
        email: email.to_owned(),
        version: Version::FIRST,
    };
    let rows = [reading(1, "a"), reading(2, "b")];
    let first = readings.insert_all(&rows).await.unwrap();
    assert!(first.iter().all(WriteOutcome::is_written));
    let again = readings.insert_all(&rows).await.unwrap();
    assert_eq!(
        again,
        [WriteOutcome::AlreadyExists, WriteOutcome::AlreadyExists]
    );

    // Another key that is taken: nothing is stored.
    let taken = [reading(3, "a"), reading(4, "c")];
    let refused = readings.insert_all(&taken).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists);
    assert_eq!(readings.find(&4).await.unwrap(), None);
    assert_eq!(readings.update(&rows[0]).await.unwrap().version, version(2));
}
