//! How writes advance the version.

use optilock::postgres::ErrorKind;

use crate::{
    postgres::repository::assertions::{assert_conflict, version},
    support::bank::{Account, everywhere},
};

#[tokio::test]
async fn a_touch_advances_only_the_version() {
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

#[tokio::test]
async fn a_write_beyond_the_last_version_is_refused() {
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
                Err(error) if error.kind() == ErrorKind::VersionExhausted => {
                    assert_eq!((error.entity(), error.id()), (Some("account"), Some("1")));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(bank.accounts.get(&1).await.unwrap(), last);
        bank.accounts.delete(&1, last.version).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_trigger_may_advance_the_version_further() {
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
