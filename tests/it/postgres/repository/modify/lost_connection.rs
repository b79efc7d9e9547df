//! Modifications whose connection is lost.

use optilock::{
    StopReason,
    postgres::{Error, PgRepository},
};

use super::{LOCKING, POLICY};
use crate::support::{
    bank::{Account, Bank, PLACES},
    db::assert_idle,
    proxy::{Cut, Proxy},
};

/// The connection is cut while the write is in flight, before or after it takes effect.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_without_an_answer_is_unknown_and_not_repeated() {
    for (cut, written) in [(Cut::Before, false), (Cut::Reply, true)] {
        let bank = Bank::open(PLACES[0]).await;
        bank.account(1, 100).await;
        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        let rename = |account: &mut Account| {
            "Zenobia".clone_into(&mut account.owner);
            Ok::<_, Error>(())
        };
        proxy.trap(b"Zenobia", cut.clone());
        let lost = accounts.modify(&POLICY, &1, rename).await.unwrap_err();
        assert!(lost.error.is_unknown(), "{lost:?}");
        assert_eq!((lost.attempts, lost.reason), (1, StopReason::Unknown));
        assert_idle(&bank.pool).await;
        let account = bank.accounts.get(&1).await.unwrap();
        assert_eq!(account.owner == "Zenobia", written, "{cut:?}");

        let mut mine = account.plus(1);
        "Ulises".clone_into(&mut mine.owner);
        proxy.trap(b"Ulises", cut);
        assert!(accounts.update(&mine).await.unwrap_err().is_unknown());
        assert_idle(&bank.pool).await;
        let account = bank.accounts.get(&1).await.unwrap();
        assert_eq!(account.owner == "Ulises", written);
    }
}

/// An attempt that locks is a transaction, and takes no effect before its COMMIT.
#[tokio::test(flavor = "multi_thread")]
async fn a_locking_attempt_cut_off_before_commit_is_repeated() {
    for cut in [Cut::Before, Cut::Reply] {
        let bank = Bank::open(PLACES[0]).await;
        bank.account(1, 100).await;
        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        proxy.trap(b"Zenobia", cut.clone());
        let rename = |account: &mut Account| {
            "Zenobia".clone_into(&mut account.owner);
            Ok::<_, Error>(())
        };
        let (account, ()) = accounts.modify(&LOCKING, &1, rename).await.unwrap();
        assert!(!proxy.armed());
        assert_eq!(account.version.get(), 2);

        // At COMMIT the outcome is unknown.
        proxy.trap(b"COMMIT\0", cut);
        let lost = accounts.modify(&LOCKING, &1, rename).await.unwrap_err();
        assert!(lost.error.is_unknown(), "{lost:?}");
        assert_eq!(lost.reason, StopReason::Unknown);
        assert_idle(&bank.pool).await;
    }
}
