//! Checkouts that are dropped while the hook of the sale has not finished.

use std::sync::atomic::Ordering::Relaxed;

use optilock::inventory::ErrorKind;

use super::delivery::{Stored, assert_unfinished, host_transaction, shop_with_deliveries};
use crate::{
    support::db::assert_balanced,
    support::goods::cart,
    support::triggers::{SWALLOW, add_trigger, drop_trigger},
};

/// The commit of the host is refused if the hook has not run to its end.
#[tokio::test]
async fn a_checkout_dropped_before_its_hook_finished_is_not_committed() {
    let (db, shop, _) = shop_with_deliveries().await;
    for before in ["", "SET CONSTRAINTS ALL IMMEDIATE"] {
        for lines in [vec![("pot", 1)], vec![("mug", 1), ("pot", 2)]] {
            let mut unfinished = 0;
            for polls in 1.. {
                assert!(polls < 200, "the checkout did not finish");
                let request = cart(&lines);
                let (sold, committed) =
                    host_transaction(&db.pool, &shop, &request, before, polls).await;
                let stored = Stored::of(&db.pool, request.order_id()).await;
                let label = format!("{before}, {lines:?}, dropped after {polls} polls");
                if let Err(error) = &committed {
                    assert_unfinished(error);
                    unfinished += 1;
                    assert_eq!(stored, Stored::new(0, 0, 0), "{label}");
                } else if stored.orders == 0 {
                    assert_eq!(stored, Stored::new(0, 0, 1), "{label}");
                } else {
                    assert_eq!(stored, Stored::new(1, lines.len() as i64, 1), "{label}");
                }
                if let Some(sold) = sold {
                    sold.unwrap();
                    committed.unwrap();
                    assert_eq!(stored.orders, 1);
                    break;
                }
            }
            assert!(unfinished > 0, "no commit was refused");
        }
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn a_replay_dropped_at_any_poll_changes_nothing() {
    let (db, shop, _) = shop_with_deliveries().await;
    let request = cart(&[("pot", 1)]);
    let first = host_transaction(&db.pool, &shop, &request, "", u32::MAX).await;
    first.1.unwrap();
    for polls in 1.. {
        assert!(polls < 200, "the replay did not finish");
        let (replay, committed) = host_transaction(&db.pool, &shop, &request, "", polls).await;
        if let Err(error) = &committed {
            assert_unfinished(error);
        }
        let stored = Stored::of(&db.pool, request.order_id()).await;
        assert_eq!((stored.orders, stored.outbox, stored.unfinished), (1, 1, 0));
        if let Some(order) = replay {
            assert!(order.unwrap().replayed);
            committed.unwrap();
            break;
        }
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn a_refused_checkout_dropped_at_any_poll_is_not_stored() {
    let (db, shop, outbox) = shop_with_deliveries().await;
    for polls in 1.. {
        assert!(polls < 200, "the refusal did not arrive");
        outbox.refusals.store(1, Relaxed);
        let request = cart(&[("pot", 1)]);
        let (refused, committed) = host_transaction(&db.pool, &shop, &request, "", polls).await;
        let stored = Stored::of(&db.pool, request.order_id()).await;
        match &committed {
            Ok(()) => assert_eq!(stored, Stored::new(0, 0, 1), "after {polls} polls"),
            Err(error) => {
                assert_unfinished(error);
                assert_eq!(stored, Stored::new(0, 0, 0), "after {polls} polls");
            }
        }
        if let Some(sold) = refused {
            assert_eq!(sold.unwrap_err().kind(), ErrorKind::Hook);
            committed.unwrap();
            break;
        }
    }
    assert_balanced(&db.pool).await;
}

/// The trigger swallows the insert or the delete of the row that makes `COMMIT` fail.
#[tokio::test]
async fn a_checkout_fails_if_a_trigger_swallows_its_unfinished_mark() {
    let (db, shop, _) = shop_with_deliveries().await;
    for event in ["INSERT", "DELETE"] {
        add_trigger(&db.pool, "unfinished_sales", event, SWALLOW, "").await;
        let request = cart(&[("pot", 1)]);
        let (sold, committed) = host_transaction(&db.pool, &shop, &request, "", u32::MAX).await;
        let stored = Stored::of(&db.pool, request.order_id()).await;
        if event == "INSERT" {
            let refused = sold.unwrap().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Suppressed, "{refused:?}");
            assert_eq!(stored, Stored::new(0, 0, 1));
        } else {
            assert_unfinished(&committed.unwrap_err());
            assert_eq!(stored, Stored::new(0, 0, 0));
        }
        drop_trigger(&db.pool).await;
    }
    assert_balanced(&db.pool).await;
}
