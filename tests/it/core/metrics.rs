//! The metrics that the recorder receives, name by name.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use metrics_util::{
    MetricKind,
    debugging::{DebugValue, DebuggingRecorder},
};
use optilock::{
    Conflict, RetryPolicy, Version,
    inventory::{
        BatchOptions, BatchedInventory, ErrorKind, Inventory, Janitor, MemoryInventory, PgInventory,
    },
    metrics::{
        ATTEMPTS, BATCH_SECONDS, BATCH_SIZE, CLEANED, CLEANUP_FAILURES, CONFLICTS, KPI,
        QUEUE_DEPTH, QUEUE_SECONDS, TRANSACTION_SECONDS, UNKNOWN_OUTCOMES, describe, record,
    },
    postgres::{self, Bulk, PgRepository, transact},
    with_retry,
};

use crate::{
    support::bank::{Account, Bank, PLACES},
    support::connect::current_thread,
    support::db::{Db, assert_idle},
    support::goods::{add, cart, new_product, sku},
    support::proxy::{Cut, Proxy},
};

const POLICY: RetryPolicy = RetryPolicy::new();

const DURATIONS: [&str; 3] = [TRANSACTION_SECONDS, QUEUE_SECONDS, BATCH_SECONDS];

/// Returns everything that was recorded while `work` ran. A name is followed by its labels. A histogram of
/// durations is reported as the number of its values.
fn recorded(work: impl AsyncFnOnce()) -> BTreeMap<String, Vec<f64>> {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = current_thread();
    metrics::with_local_recorder(&recorder, || {
        describe();
        runtime.block_on(work());
    });
    let mut found = BTreeMap::new();
    for (key, unit, description, value) in snapshotter.snapshot().into_vec() {
        let gauge = matches!(value, DebugValue::Gauge(_));
        assert!(
            (unit.is_some() || gauge) && description.is_some(),
            "{key:?}"
        );
        let (kind, key) = key.into_parts();
        let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
        let name = format!("{} {}", key.name(), labels.join(" "));
        let values = match value {
            DebugValue::Counter(count) => vec![count as f64],
            DebugValue::Histogram(values) if DURATIONS.contains(&key.name()) => {
                assert!(values.iter().all(|took| (0.0..60.0).contains(&took.0)));
                vec![values.len() as f64]
            }
            DebugValue::Histogram(values) => values.iter().map(|it| it.0).collect(),
            DebugValue::Gauge(value) => vec![value.0],
        };
        assert_eq!(kind == MetricKind::Counter, name.contains("_total"));
        found.insert(name, values);
    }
    found
}

fn expected<const N: usize>(all: [(String, &[f64]); N]) -> BTreeMap<String, Vec<f64>> {
    all.into_iter()
        .map(|(name, values)| (name, values.to_vec()))
        .collect()
}

#[test]
fn retries_are_recorded() {
    let conflict = || Conflict::new("pot", 1, Version::FIRST, Version::FIRST);
    let found = recorded(async || {
        let policy = POLICY.with_label("label").with_max_attempts(2);
        with_retry(&policy, async |_| Ok::<_, Conflict>(()))
            .await
            .unwrap();
        let once = async |attempt: optilock::Attempt| match attempt.number() {
            1 => Err(conflict()),
            _ => Ok(()),
        };
        with_retry(&policy, once).await.unwrap();
        with_retry(&policy, async |_| Err::<(), _>(conflict()))
            .await
            .unwrap_err();
    });
    assert_eq!(
        found,
        expected([
            (format!("{ATTEMPTS} label"), &[1.0, 2.0, 2.0]),
            (format!("{CONFLICTS} label absorbed"), &[2.0]),
            (format!("{CONFLICTS} label escaped"), &[1.0]),
        ])
    );
}

#[test]
fn versioned_rows_and_transactions_are_recorded() {
    let found = recorded(async || {
        let bank = Bank::open(PLACES[0]).await;
        let read = bank.account(1, 100).await;
        let plus_one = |account: &mut Account| {
            account.cents += 1;
            Ok::<_, postgres::Error>(())
        };
        bank.accounts.modify(&POLICY, &1, plus_one).await.unwrap();
        bank.accounts.update(&read).await.unwrap_err();
        let _ = bank.accounts.compare_and_set(&read).await.unwrap();
        bank.accounts.delete(&1, read.version).await.unwrap_err();
        bank.accounts.touch(&1, read.version).await.unwrap_err();
        let _ = bank.accounts.update_all(&[read], Bulk::Each).await.unwrap();
        // In a transaction the conflict is counted by `transact`.
        let policy = POLICY.with_label("transfer").with_max_attempts(1);
        let stale = Account::new(1, 0);
        transact(&bank.pool, &policy, async |tx| {
            bank.accounts.update_in(tx, &stale).await
        })
        .await
        .unwrap_err();
        transact(&bank.pool, &policy, async |_| Ok::<_, postgres::Error>(()))
            .await
            .unwrap();

        let proxy = Proxy::new(&bank.db).await;
        let accounts = PgRepository::<Account>::new(proxy.pool(1).await);
        let rename = |account: &mut Account| {
            "Zenobia".clone_into(&mut account.owner);
            Ok::<_, postgres::Error>(())
        };
        proxy.trap(b"Zenobia", Cut::Before);
        accounts.modify(&POLICY, &1, rename).await.unwrap_err();
        let locking = POLICY.with_locking_after(Some(0));
        proxy.trap(b"COMMIT\0", Cut::Before);
        accounts.modify(&locking, &1, rename).await.unwrap_err();
        assert_idle(&bank.pool).await;
    });
    assert_eq!(
        found,
        expected([
            (format!("{ATTEMPTS} account"), &[1.0, 1.0, 1.0]),
            (format!("{ATTEMPTS} transfer"), &[1.0, 1.0]),
            (format!("{CONFLICTS} account escaped"), &[5.0]),
            (format!("{CONFLICTS} transfer escaped"), &[1.0]),
            (format!("{UNKNOWN_OUTCOMES} account"), &[2.0]),
            (format!("{TRANSACTION_SECONDS} committed"), &[1.0]),
            (format!("{TRANSACTION_SECONDS} rolled-back"), &[1.0]),
            (format!("{TRANSACTION_SECONDS} unknown"), &[1.0]),
        ])
    );
}

#[test]
fn inventory_operations_are_recorded() {
    let mut found = recorded(async || {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone());
        add(&shop, "pot", 5).await;
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
        batched.checkout(cart(&[("pot", 1)])).await.unwrap();
        let stale = shop.retire_product(&sku("pot"), Version::FIRST).await;
        assert!(stale.unwrap_err().is_conflict());
        let again = shop.add_product(new_product("pot", 1)).await;
        assert_eq!(again.unwrap_err().kind(), ErrorKind::AlreadyExists);
    });
    // A migration is recorded only if the template of the database is created meanwhile.
    found.retain(|name, _| !name.contains("migrate") && !name.starts_with(TRANSACTION_SECONDS));
    assert_eq!(
        found,
        expected([
            (format!("{ATTEMPTS} add product"), &[1.0, 1.0]),
            (format!("{ATTEMPTS} checkout"), &[1.0, 1.0]),
            (format!("{ATTEMPTS} retire product"), &[1.0]),
            (format!("{BATCH_SECONDS} stock"), &[1.0]),
            (format!("{BATCH_SIZE} stock"), &[1.0]),
            (format!("{CONFLICTS} retire product escaped"), &[1.0]),
            (format!("{QUEUE_DEPTH} stock"), &[0.0]),
            (format!("{QUEUE_SECONDS} stock"), &[1.0]),
        ])
    );
}

#[test]
fn the_janitor_and_the_report_are_recorded() {
    let mut found = recorded(async || {
        let shop = MemoryInventory::new();
        add(&shop, "pot", 5).await;
        shop.checkout(cart(&[("pot", 2)]).with_idempotency_key("key"))
            .await
            .unwrap();
        record(&shop.report(Duration::from_secs(3_600)).await.unwrap());
        let thorough = |shop: Arc<MemoryInventory>| {
            let janitor = Janitor::new(shop).with_unpaid_after(Duration::ZERO);
            janitor.with_keys_after(Duration::ZERO)
        };
        thorough(Arc::new(shop)).run_once().await.unwrap();
        let db = Db::empty().await;
        let nothing = Arc::new(PgInventory::new(db.pool.clone()));
        Janitor::new(nothing).run_once().await.unwrap_err();
    });
    let seconds = found.remove(&format!("{KPI} checkout-seconds")).unwrap();
    assert!((0.0..5.0).contains(&seconds[0]));
    found.retain(|name, _| !name.contains("clean up") && !name.starts_with(TRANSACTION_SECONDS));
    assert_eq!(
        found,
        expected([
            (format!("{CLEANED} keys"), &[1.0]),
            (format!("{CLEANED} orders"), &[1.0]),
            (format!("{CLEANED} units"), &[2.0]),
            (format!("{CLEANUP_FAILURES} keys"), &[1.0]),
            (format!("{CLEANUP_FAILURES} orders"), &[1.0]),
            (format!("{CLEANUP_FAILURES} reservations"), &[1.0]),
            (format!("{KPI} conflict-rate"), &[0.0]),
            (format!("{KPI} failed-orders"), &[0.0]),
            (format!("{KPI} mean-attempts"), &[1.0]),
            (format!("{KPI} negative-stock"), &[0.0]),
        ])
    );
}
