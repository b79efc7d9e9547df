//! Batches with rows whose write a trigger or a policy prevents.

use optilock::{
    Class, Classify,
    postgres::{Bulk, ErrorKind, WriteOutcome},
};

use crate::support::bank::{KEEPERS, as_clerk, everywhere};

#[tokio::test]
async fn a_write_swallowed_by_a_trigger_is_suppressed() {
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
            Err(error) if error.kind() == ErrorKind::Suppressed => {
                assert_eq!(error.class(), Class::Permanent);
                assert!(error.to_string().contains("account 2"), "{error}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(bank.all().await, read);
        let outcomes = bank.accounts.update_all(&rows, Bulk::Each).await.unwrap();
        assert_eq!(outcomes[1], WriteOutcome::Suppressed);
        assert!(outcomes[0].is_written() && outcomes[2].is_written());
    })
    .await;
}

/// A policy that permits a role to read a row but not to write it hides the row from the lock.
#[tokio::test]
async fn a_row_protected_by_a_policy_is_suppressed() {
    everywhere(async |bank| {
        let read = bank.with_accounts(2).await;
        bank.run(
            "ALTER TABLE bank.accounts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
             CREATE POLICY sees ON bank.accounts FOR SELECT USING (true);
             CREATE POLICY writes ON bank.accounts FOR UPDATE USING (id <> 2)",
        )
        .await;
        let rows = read.iter().map(|it| it.plus(1)).collect::<Vec<_>>();
        let (all_or_nothing, each, one) = as_clerk!(bank, conn => {
            (
                bank.accounts.update_all_in(conn, &rows, Bulk::AllOrNothing).await.unwrap(),
                bank.accounts.update_all_in(conn, &rows, Bulk::Each).await.unwrap(),
                bank.accounts.compare_and_set_in(conn, &rows[1]).await.unwrap(),
            )
        });
        assert_eq!(
            all_or_nothing,
            [
                WriteOutcome::Skipped(read[0].clone()),
                WriteOutcome::Suppressed
            ]
        );
        assert_eq!(
            (each[0].is_written(), &each[1]),
            (true, &WriteOutcome::Suppressed)
        );
        assert_eq!(one, WriteOutcome::Suppressed);
    })
    .await;
}

/// The statement counts an unchanged row as written, so in both modes it has to fail as a whole.
#[tokio::test]
async fn a_trigger_that_keeps_a_version_fails_the_batch() {
    for keeper in KEEPERS {
        everywhere(async |bank| {
            let read = bank.with_accounts(3).await;
            bank.run(keeper).await;
            let rows = [read[1].plus(1), read[2].plus(1)];
            for mode in [Bulk::AllOrNothing, Bulk::Each] {
                match bank.accounts.update_all(&rows, mode).await {
                    Err(error) if error.kind() == ErrorKind::Suppressed => {
                        assert_eq!(error.class(), Class::Permanent);
                        assert!(error.to_string().contains("account 3"), "{error}");
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(bank.all().await, read);
            let outcomes = bank.accounts.update_all(&rows[..1], Bulk::Each).await;
            assert!(outcomes.unwrap()[0].is_written());
        })
        .await;
    }
}
