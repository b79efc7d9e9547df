//! Batches that are refused as a whole.

use optilock::{
    Version,
    postgres::{Bulk, ErrorKind, PgRepository, WriteOutcome},
    sqlx, versioned_row,
};

use crate::support::bank::{Account, CHILD, everywhere};

#[tokio::test]
async fn repeated_ids_and_oversized_batches_are_refused() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        for mode in [Bulk::AllOrNothing, Bulk::Each] {
            assert_eq!(bank.accounts.update_all(&[], mode).await.unwrap(), []);
            let twice = [read[1].plus(1), read[0].plus(1), read[1].plus(2)];
            match bank.accounts.update_all(&twice, mode).await {
                Err(error) if error.kind() == ErrorKind::RepeatedId => {
                    assert_eq!((error.entity(), error.id()), (Some("account"), Some("2")));
                }
                other => panic!("{other:?}"),
            }
            // No statement is sent: missing rows with one id are refused in the same way.
            let missing = [Account::new(7, 0), Account::new(7, 0)];
            let refused = bank.accounts.update_all(&missing, mode).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::RepeatedId, "{refused:?}");
            let many: Vec<Account> = (0..10_001).map(|id| Account::new(id, 0)).collect();
            match bank.accounts.update_all(&many, mode).await {
                Err(error) if error.kind() == ErrorKind::TooManyRows => {
                    let text = "10001 rows of account given, 10000 at most";
                    assert_eq!(error.to_string(), text);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bank.all().await, read);
    })
    .await;
}

#[tokio::test]
async fn a_batch_beyond_the_last_version_is_refused() {
    everywhere(async |bank| {
        let mut last = Account::new(1, 0);
        last.version = Version::new(i64::MAX).unwrap();
        let rows = [
            bank.accounts.insert(&last).await.unwrap(),
            bank.account(2, 0).await,
        ];
        match bank.accounts.update_all(&rows, Bulk::Each).await {
            Err(error) if error.kind() == ErrorKind::VersionExhausted => {
                assert_eq!(error.id(), Some("1"));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bank.all().await, rows);
    })
    .await;
}

#[tokio::test]
async fn an_ambiguous_id_fails_the_batch() {
    everywhere(async |bank| {
        if bank.place.partitioned {
            return;
        }
        bank.run(CHILD).await;
        let read = bank.with_accounts(3).await;
        // The child has another version, and the row that could be written is not written either.
        bank.run("INSERT INTO bank.child VALUES (2, 'a child', 100, 9)")
            .await;
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        for mode in [Bulk::AllOrNothing, Bulk::Each] {
            match bank.accounts.update_all(&rows, mode).await {
                Err(error) if error.kind() == ErrorKind::SchemaMismatch => {
                    assert!(
                        error.to_string().contains("id 2 names several rows"),
                        "{error}"
                    );
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bank.sum().await, 400);
        let outcomes = bank.accounts.update_all(&rows[..1], Bulk::Each).await;
        assert!(outcomes.unwrap()[0].is_written());
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

/// Two spellings of an id that are equal in the database are one id.
#[tokio::test]
async fn ids_equal_by_collation_are_repeated_ids() {
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
                    Err(error) if error.kind() == ErrorKind::RepeatedId => {
                        assert_eq!((error.entity(), error.id()), (Some("person"), Some("ANA")));
                    }
                    other => panic!("{other:?}"),
                }
            }
        }
        assert_eq!(people.get(&"ANA".to_owned()).await.unwrap(), read[0]);
        // Each id occurs once, in any case.
        let mut once = [read[0].clone(), read[1].clone()];
        "ANA".clone_into(&mut once[0].name);
        let outcomes = people.update_all(&once, Bulk::AllOrNothing).await.unwrap();
        assert!(outcomes.iter().all(WriteOutcome::is_written));
    })
    .await;
}
