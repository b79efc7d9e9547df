//! Every public future, dropped after each of its polls: the next borrower of the connection loses
//! nothing, and the books stay right.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use optilock::{
    RetryPolicy, Version,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Error, Inventory, OrderFilter, OrderId, Page,
        PgInventory, Reserve, ReturnRequest, Strategy,
    },
    migrate,
    postgres::{
        self, Bulk, Isolation, PgRepository, TransactOptions, WriteOutcome, transact, transact_with,
    },
    sqlx::{self, Connection, PgPool},
};

use crate::{
    support::bank::{self, Account},
    support::db::{Db, assert_books, pool_options},
    support::goods::{add, cart, new_product, pesos, sku, stock, units},
};

type Operation<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Polls `operation` so many times, and drops it if it has not ended by then.
struct Impatient<'a> {
    operation: Operation<'a>,
    polls: u32,
}

impl Future for Impatient<'_> {
    type Output = bool;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<bool> {
        if self.operation.as_mut().poll(context).is_ready() {
            return Poll::Ready(true);
        }
        self.polls -= 1;
        if self.polls == 0 {
            Poll::Ready(false)
        } else {
            Poll::Pending
        }
    }
}

/// The pool's only connection, as the next borrower finds it: what it writes must be seen by others.
async fn assert_unpoisoned(pool: &PgPool, others: &PgPool, label: &str) {
    let id: i64 = sqlx::query_scalar("INSERT INTO public.canary DEFAULT VALUES RETURNING id")
        .fetch_one(pool)
        .await
        .unwrap_or_else(|error| panic!("{label}: {error}"));
    let seen: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM public.canary WHERE id = $1)")
        .bind(id)
        .fetch_one(others)
        .await
        .unwrap();
    assert!(seen, "{label}: an acknowledged insert was never committed");
}

async fn sweep<'a>(db: &Db, pool: &PgPool, label: &str, make: impl Fn() -> Operation<'a>) {
    for polls in 1.. {
        assert!(polls < 200, "{label} never ends");
        let ended = Impatient {
            operation: make(),
            polls,
        }
        .await;
        assert_unpoisoned(
            pool,
            &db.pool,
            &format!("{label}, dropped after {polls} polls"),
        )
        .await;
        if ended {
            break;
        }
    }
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_poll() {
    let db = Db::new().await;
    sqlx::query("CREATE TABLE public.canary (id bigserial PRIMARY KEY)")
        .execute(&db.pool)
        .await
        .unwrap();
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let shop = PgInventory::new(pool.clone());
    for name in ["pot", "mug"] {
        add(&PgInventory::new(db.pool.clone()), name, 100_000).await;
    }
    let (pot, one) = (sku("pot"), Version::FIRST);

    for strategy in [
        Strategy::Guarded,
        Strategy::Optimistic,
        Strategy::Pessimistic,
    ] {
        let shop = shop.clone().with_strategy(strategy);
        for lines in [vec![("pot", 1)], vec![("pot", 1), ("mug", 1)]] {
            let label = format!("{strategy:?} checkout of {} lines", lines.len());
            sweep(&db, &pool, &label, || {
                let request = cart(&lines);
                Box::pin(async { shop.checkout(request).await.map(drop).unwrap() })
            })
            .await;
        }
    }
    let combined = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
    sweep(&db, &pool, "combined checkout", || {
        let request = cart(&[("pot", 1), ("mug", 1)]);
        Box::pin(async { combined.checkout(request).await.map(drop).unwrap() })
    })
    .await;
    combined.shutdown().await;
    sweep(&db, &pool, "transact", || {
        Box::pin(async {
            let request = cart(&[("pot", 1), ("mug", 1)]);
            transact(&pool, &RetryPolicy::new(), async |tx| {
                shop.checkout_in(tx, &request).await?;
                sqlx::query("INSERT INTO public.canary DEFAULT VALUES")
                    .execute(&mut **tx)
                    .await?;
                Ok::<_, Error>(())
            })
            .await
            .unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "a transaction that fails", || {
        Box::pin(async {
            transact(&pool, &RetryPolicy::new(), async |tx| {
                sqlx::query("INSERT INTO public.canary DEFAULT VALUES")
                    .execute(&mut **tx)
                    .await?;
                Err::<(), _>(sqlx::Error::RowNotFound)
            })
            .await
            .unwrap_err();
        })
    })
    .await;
    sweep(&db, &pool, "add_product", || {
        let new = new_product(&format!("new-{:x}", rand::random::<u64>()), 1);
        Box::pin(async { shop.add_product(new).await.map(drop).unwrap() })
    })
    .await;
    // A change that was made after its future was dropped moves the version on: then it is refused.
    sweep(&db, &pool, "update_product", || {
        Box::pin(async {
            let mut product = shop.product(&pot).await.unwrap();
            product.price = pesos(1_234);
            shop.update_product(&product).await.map(drop).unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "adjust_stock", || {
        let delivery = Adjustment::new(pot.clone(), 1, "delivery").unwrap();
        Box::pin(async { shop.adjust_stock(delivery).await.map(drop).unwrap() })
    })
    .await;
    sweep(&db, &pool, "count_stock", || {
        Box::pin(async {
            let version = shop.product(&pot).await.unwrap().version;
            shop.count_stock(&pot, version, stock(50_000), "day")
                .await
                .map(drop)
                .unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "retire_product", || {
        Box::pin(async {
            let name = format!("old-{:x}", rand::random::<u64>());
            add(&shop, &name, 1).await;
            shop.retire_product(&sku(&name), one).await.unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "reads", || {
        Box::pin(async {
            shop.product(&pot).await.map(drop).unwrap();
            shop.products(Page::first(9)).await.map(drop).unwrap();
            shop.products_of(std::slice::from_ref(&pot))
                .await
                .map(drop)
                .unwrap();
            shop.product_at(&pot, one).await.unwrap_err();
            shop.order(OrderId::new()).await.unwrap_err();
            shop.orders(OrderFilter::all(), Page::first(9))
                .await
                .map(drop)
                .unwrap();
            shop.movements(&pot, Page::first(9))
                .await
                .map(drop)
                .unwrap();
        })
    })
    .await;
    // Each step may have been made when its future was dropped: then the next one begins elsewhere.
    let others = PgInventory::new(db.pool.clone());
    let order = others.checkout(cart(&[("pot", 5)])).await.unwrap().id;
    sweep(&db, &pool, "cancel, revive, mark_payment_failed", || {
        Box::pin(async {
            for step in [
                shop.cancel(order, "test").await,
                shop.revive(order).await,
                shop.mark_payment_failed(order).await,
            ] {
                if let Err(refused) = step {
                    assert!(
                        matches!(refused, Error::InvalidOrderState { .. }),
                        "{refused:?}"
                    );
                }
            }
        })
    })
    .await;
    others.cancel(order, "test").await.unwrap();
    others.revive(order).await.unwrap();
    sweep(&db, &pool, "mark_paid, return_items", || {
        let lines = [(pot.clone(), units(1))];
        let back = ReturnRequest::new(order, lines, "broken").unwrap();
        Box::pin(async {
            shop.mark_paid(order).await.map(drop).unwrap();
            // Over all polls it is more often than there are units.
            if let Err(refused) = shop.return_items(back).await {
                let too_many = matches!(refused, Error::ReturnExceedsOrder(_));
                assert!(too_many, "{refused:?}");
            }
        })
    })
    .await;
    sweep(&db, &pool, "reserve, extend, reservation, release", || {
        Box::pin(async {
            let request = Reserve::new([(pot.clone(), units(1))]).unwrap();
            let id = shop.reserve(request).await.unwrap().id;
            shop.extend(id, Duration::from_secs(900)).await.unwrap();
            shop.reservation(id).await.unwrap();
            shop.release(id).await.unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "a checkout from a reservation", || {
        Box::pin(async {
            let request = Reserve::new([(pot.clone(), units(1))]).unwrap();
            let id = others.reserve(request).await.unwrap().id;
            let request = cart(&[("pot", 1)]).with_reservation(id);
            shop.checkout(request).await.map(drop).unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "cleanup_reservations", || {
        Box::pin(async {
            let request = Reserve::new([(pot.clone(), units(1))]).unwrap();
            let request = request.for_duration(Duration::from_micros(1));
            others.reserve(request).await.unwrap();
            shop.cleanup_reservations().await.map(drop).unwrap();
        })
    })
    .await;
    sweep(&db, &pool, "a checkout by its key", || {
        let request = cart(&[("pot", 1)]).with_idempotency_key("key");
        Box::pin(async { shop.checkout(request).await.map(drop).unwrap() })
    })
    .await;
    sweep(&db, &pool, "cleanup_idempotency_keys", || {
        Box::pin(async {
            shop.cleanup_idempotency_keys(Duration::ZERO)
                .await
                .map(drop)
                .unwrap()
        })
    })
    .await;
    sweep(&db, &pool, "cleanup_failed_orders", || {
        Box::pin(async {
            shop.cleanup_failed_orders(Duration::ZERO)
                .await
                .map(drop)
                .unwrap()
        })
    })
    .await;
    sweep(&db, &pool, "migrate", || {
        Box::pin(async { migrate(&pool).await.unwrap() })
    })
    .await;
}

fn plus_one(account: &mut Account) -> Result<(), postgres::Error> {
    account.cents += 1;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn versioned_rows_after_every_poll() {
    let db = Db::new().await;
    let canary = "CREATE TABLE public.canary (id bigserial PRIMARY KEY)";
    for sql in [canary, bank::TABLE] {
        sqlx::raw_sql(sql).execute(&db.pool).await.unwrap();
    }
    let pool = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let accounts = PgRepository::<Account>::new(pool.clone());
    let others = PgRepository::<Account>::new(db.pool.clone());
    for id in 1..=3 {
        others.insert(&Account::new(id, 0)).await.unwrap();
    }
    let policy = RetryPolicy::new();

    /// One sweep per operation: an expression that awaits it, and unwraps what it returned. What an
    /// earlier, dropped one had written is read first.
    macro_rules! sweep {
        ($($label:literal: $operation:expr;)*) => {$(
            sweep(&db, &pool, $label, || Box::pin(async { let _ = $operation; })).await;
        )*};
    }
    sweep! {
        "insert": accounts.insert(&Account::new(rand::random(), 0)).await.unwrap();
        "find, get, get_at": {
            accounts.find(&0).await.unwrap();
            let account = accounts.get(&1).await.unwrap();
            accounts.get_at(&1, account.version).await.unwrap()
        };
        "update": accounts.update(&accounts.get(&1).await.unwrap().plus(1)).await.unwrap();
        "an update that loses": {
            let mut stale = accounts.get(&1).await.unwrap();
            stale.version = Version::new(i64::MAX).unwrap();
            accounts.update(&stale).await.unwrap_err()
        };
        "compare_and_set": accounts.compare_and_set(&accounts.get(&1).await.unwrap()).await.unwrap();
        "touch": accounts.touch(&1, accounts.get(&1).await.unwrap().version).await.unwrap();
        "delete": {
            let account = Account::new(rand::random(), 0);
            others.insert(&account).await.unwrap();
            accounts.delete(&account.id, account.version).await.unwrap();
        };
        "modify": {
                        accounts.modify(&policy, &1, plus_one).await.unwrap()
        };
        "modify, locking": {
                        let policy = policy.clone().with_locking_after(Some(0));
            accounts.modify(&policy, &1, plus_one).await.unwrap()
        };
        "update_all": {
            let rows = [accounts.get(&2).await.unwrap(), accounts.get(&1).await.unwrap()];
            let verdicts = accounts.update_all(&rows, Bulk::AllOrNothing).await.unwrap();
            assert!(verdicts.iter().all(WriteOutcome::is_written));
        };
        "update_all of what is gone": {
            let rows = [Account::new(0, 0)];
            let verdicts = accounts.update_all(&rows, Bulk::Each).await.unwrap();
            assert_eq!(verdicts, [WriteOutcome::NotFound]);
        };
        "verify": accounts.verify().await.unwrap();
        "in a transaction": {
            let transaction = transact(&pool, &policy, async |tx| {
                let locked = accounts.lock_in(tx, &1).await?;
                let written = accounts.update_in(tx, &locked).await?;
                accounts.touch_in(tx, &1, written.version).await?;
                let price = accounts.get_in(tx, &3).await?;
                accounts.assert_current_in(tx, &3, price.version).await?;
                                accounts.modify_in(tx, &2, plus_one).await?;
                let mut savepoint = tx.begin().await?;
                let account = accounts.insert_in(&mut savepoint, &Account::new(rand::random(), 0)).await?;
                accounts.delete_in(&mut savepoint, &account.id, account.version).await?;
                savepoint.commit().await?;
                Ok::<_, postgres::Error>(())
            });
            transaction.await.unwrap();
        };
        "a read-only transaction with timeouts": {
            let options = TransactOptions::new()
                .with_isolation(Isolation::RepeatableRead)
                .with_read_only(true)
                .with_statement_timeout(Duration::from_secs(9));
            let read = transact_with(&pool, &policy, &options, async |tx| accounts.get_in(tx, &1).await);
            read.await.unwrap()
        };
    }
}
