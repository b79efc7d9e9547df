//! A host's hook and the outbox in the transaction of a batch.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use async_trait::async_trait;
use optilock::{
    inventory::{
        Accepted, BatchedInventory, BoxError, Checkout, Error, ErrorKind, Inventory, OnAccepted,
        Order, OrderStatus, OutboxPosition, PgInventory, Refusals,
    },
    sqlx::{self, PgConnection, PgPool},
};

use super::{OPTIONS, one_pot, spawn_checkouts};
use crate::inventory::outbox::read_until;
use crate::support::{
    db::{Db, assert_balanced, order_count},
    goods::{add, cart, stock_of},
    proxy::{Cut, Proxy},
};

/// What the hook does with the checkout whose context is 7.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Does {
    Accepts,
    /// As a whole call with all others, also if it is alone.
    Refuses,
    /// With an error of the call that names no checkout.
    FailsTheCall,
    /// Ignores that a statement of its own failed.
    IgnoresAnError,
    /// With an effect outside of the transaction that may have happened.
    IsUnknown,
}

/// Writes a row for each accepted checkout, by one statement per batch.
struct Deliveries {
    does: Does,
    calls: AtomicUsize,
    largest: AtomicUsize,
    changes: Mutex<Vec<(i64, i64)>>,
}

impl Deliveries {
    fn new(does: Does) -> Arc<Self> {
        Arc::new(Self {
            does,
            calls: AtomicUsize::new(0),
            largest: AtomicUsize::new(0),
            changes: Mutex::default(),
        })
    }
}

#[async_trait]
impl OnAccepted for Deliveries {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        let accepted = std::slice::from_ref(accepted);
        self.on_accepted_many(conn, accepted).await?.into_result()
    }

    async fn on_accepted_many(
        &self,
        conn: &mut PgConnection,
        accepted: &[Accepted],
    ) -> Result<Refusals, BoxError> {
        self.calls.fetch_add(1, SeqCst);
        self.largest.fetch_max(accepted.len(), SeqCst);
        let ids: Vec<_> = accepted.iter().map(|it| it.order.id.uuid()).collect();
        sqlx::query("INSERT INTO public.deliveries SELECT * FROM unnest($1::uuid[])")
            .bind(ids)
            .execute(&mut *conn)
            .await?;
        let changes = accepted.iter().flat_map(|it| &it.changes);
        let changes = changes.map(|change| (change.version.get(), change.stock));
        self.changes.lock().unwrap().extend(changes);
        let seventh = accepted.iter().find(|it| it.context() == Some(&7_usize));
        let Some(seventh) = seventh else {
            return Ok(Refusals::none());
        };
        match self.does {
            Does::Accepts => Ok(Refusals::none()),
            Does::Refuses => Ok(Refusals::of(seventh.order.id, "there is no carrier")),
            Does::FailsTheCall => Err("there is no carrier".into()),
            Does::IgnoresAnError => {
                let failed = sqlx::query("SELECT 1/0").execute(conn).await;
                assert!(failed.is_err());
                Ok(Refusals::none())
            }
            Does::IsUnknown => Err(Error::not_found("answer of carrier", 1)
                .into_unknown()
                .into()),
        }
    }
}

fn requests(count: usize) -> Vec<Checkout> {
    let requests = (0..count).map(|number| one_pot().with_context(number));
    requests.collect()
}

async fn db() -> Db {
    let db = Db::new().await;
    let table = "CREATE TABLE public.deliveries (order_id uuid PRIMARY KEY)";
    sqlx::query(table).execute(&db.pool).await.unwrap();
    db
}

fn shop(pool: PgPool, hook: &Arc<Deliveries>) -> BatchedInventory {
    let hook: Arc<dyn OnAccepted> = Arc::clone(hook) as _;
    BatchedInventory::new(PgInventory::new(pool).with_hook(hook), OPTIONS.always())
}

/// Sends the requests at the same time, in one batch as far as possible.
async fn answers(shop: &BatchedInventory, requests: &[Checkout]) -> Vec<Result<Order, Error>> {
    let mut answers = Vec::new();
    for answer in spawn_checkouts(shop, requests.to_vec()) {
        answers.push(answer.await.unwrap());
    }
    answers
}

/// Asserts that each order has its delivery, and that nothing else has one.
async fn assert_delivered(db: &Db, count: i64) {
    let sql = "SELECT count(*), count(o.id) FROM public.deliveries d
        FULL JOIN (SELECT id FROM optilock.orders WHERE status <> 4) o ON o.id = d.order_id";
    let pairs: (i64, i64) = sqlx::query_as(sql).fetch_one(&db.pool).await.unwrap();
    assert_eq!(pairs, (count, count));
    let deliveries = "SELECT count(*) FROM public.deliveries";
    let deliveries: i64 = sqlx::query_scalar(deliveries)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(deliveries, count);
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn a_hook_is_called_once_for_a_batch() {
    let (db, hook) = (db().await, Deliveries::new(Does::Accepts));
    let shop = shop(db.pool.clone(), &hook);
    add(&shop, "pot", 100).await;
    // On one thread the worker starts after all of them have joined the queue.
    for answer in answers(&shop, &requests(60)).await {
        answer.unwrap();
    }
    assert_delivered(&db, 60).await;
    assert_eq!(hook.calls.load(SeqCst), 1);
    let changes: Vec<_> = (0..60).map(|sold| (sold + 2, 99 - sold)).collect();
    assert_eq!(*hook.changes.lock().unwrap(), changes);
}

#[tokio::test]
async fn a_refused_checkout_is_taken_out_of_its_batch() {
    for does in [Does::Refuses, Does::FailsTheCall, Does::IgnoresAnError] {
        let (db, hook) = (db().await, Deliveries::new(does));
        let shop = shop(db.pool.clone(), &hook);
        add(&shop, "pot", 100).await;
        for (number, answer) in answers(&shop, &requests(40)).await.into_iter().enumerate() {
            match answer {
                Ok(_) => assert_ne!(number, 7, "{does:?}"),
                Err(refused) => {
                    // As without a batch, the transaction of an ignored error is refused by the database.
                    let kind = match does {
                        Does::IgnoresAnError => ErrorKind::Database,
                        _ => ErrorKind::Hook,
                    };
                    assert_eq!((number, refused.kind()), (7, kind), "{does:?}");
                    assert!(!refused.is_unknown(), "{does:?}: {refused:?}");
                }
            }
        }
        assert_delivered(&db, 39).await;
        assert_eq!(hook.largest.load(SeqCst), 40, "{does:?}");
        if does == Does::Refuses {
            assert_eq!(hook.calls.load(SeqCst), 2);
        }
    }
}

#[tokio::test]
async fn an_unknown_outcome_of_the_call_is_that_of_every_checkout() {
    let (db, hook) = (db().await, Deliveries::new(Does::IsUnknown));
    let shop = shop(db.pool.clone(), &hook);
    add(&shop, "pot", 100).await;
    for answer in answers(&shop, &requests(20)).await {
        let unknown = answer.unwrap_err();
        assert!(unknown.is_unknown(), "{unknown:?}");
        assert_eq!(unknown.kind(), ErrorKind::Hook);
    }
    assert_eq!(hook.calls.load(SeqCst), 1, "no checkout is sent again");
    assert_delivered(&db, 0).await;
    assert_eq!(stock_of(&shop, "pot").await, 100);
}

/// Refuses every checkout of its second call and later.
struct Once(AtomicUsize);

#[async_trait]
impl OnAccepted for Once {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        match self.0.fetch_add(1, SeqCst) {
            0 => Ok(()),
            _ => Err("there is no carrier".into()),
        }
    }
}

/// The batch of a checkout is lost at its COMMIT, and the hook refuses the repetition. The lost COMMIT might still
/// arrive, so the refusal is final only when the order's id is used up.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_by_the_hook_settles_the_batch_before() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let inventory = PgInventory::new(proxy.pool(4).await);
    let hook: Arc<dyn OnAccepted> = Arc::new(Once(AtomicUsize::new(0)));
    let shop = BatchedInventory::new(inventory.with_hook(hook), OPTIONS.always());
    add(&PgInventory::new(db.pool.clone()), "pot", 5).await;
    let request = cart(&[("pot", 2)]);
    proxy.trap(b"COMMIT\0", Cut::Before);
    let refused = shop.checkout(request.clone()).await.unwrap_err();
    assert!(!proxy.armed());
    assert_eq!(refused.kind(), ErrorKind::Hook, "{refused:?}");
    assert!(!refused.is_unknown(), "{refused:?}");
    let void = shop.order(request.order_id()).await.unwrap();
    assert_eq!(void.status, OrderStatus::Void);
    assert_eq!(
        (stock_of(&shop, "pot").await, order_count(&db.pool).await),
        (5, 0)
    );
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_writes_an_entry_of_the_outbox_for_each_order() {
    let db = Db::new().await;
    let direct = PgInventory::new(db.pool.clone()).with_outbox();
    let shop = BatchedInventory::new(direct.clone(), OPTIONS.always());
    add(&shop, "pot", 150).await;
    let requests: Vec<Checkout> = (0..200).map(|_| one_pot()).collect();
    let mut sold: Vec<_> = answers(&shop, &requests).await;
    sold.retain(Result::is_ok);
    let mut sold: Vec<_> = sold.into_iter().map(|order| order.unwrap().id).collect();
    let read = read_until(&direct, &mut OutboxPosition::START.clone(), 1_000, 150).await;
    let mut entries: Vec<_> = read.into_iter().map(|entry| entry.order.id).collect();
    sold.sort_unstable();
    entries.sort_unstable();
    assert_eq!((entries.len(), entries), (150, sold));
    shop.shutdown(Duration::from_secs(30)).await.unwrap();
    let count = "SELECT count(DISTINCT transaction_id) FROM optilock.outbox";
    let transactions: i64 = sqlx::query_scalar(count).fetch_one(&db.pool).await.unwrap();
    assert!(transactions < 75, "{transactions} transactions");
    assert_balanced(&db.pool).await;
}
