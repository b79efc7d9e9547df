//! Inserts.

use optilock::{Version, postgres::ErrorKind};

use crate::{
    postgres::repository::assertions::version,
    support::bank::{Account, everywhere},
};

#[tokio::test]
async fn versions_start_at_one_or_at_the_version_of_the_inserted_row() {
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
async fn an_insert_of_an_existing_row_is_refused() {
    everywhere(async |bank| {
        let read = bank.account(1, 100).await;
        match bank.accounts.insert(&Account::new(1, 7)).await {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                assert_eq!(error.id(), Some("1"));
                let constraint = error.constraint().unwrap();
                assert!(constraint.starts_with("accounts"), "{constraint}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap(), read);
    })
    .await;
}
