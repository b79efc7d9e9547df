use sqlx::postgres::PgPoolOptions;

use super::*;
use crate::inventory::model::{Line, Quantity};

/// Before a database that is not there.
fn queue(options: BatchOptions) -> Arc<Queue> {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(10));
    let pool = pool.connect_lazy("postgres://nobody@localhost:1/nothing");
    Arc::new(Queue::new(PgInventory::new(pool.unwrap()), options))
}

fn cart(sku: &str) -> Arc<Checkout> {
    let line = Line::new(Sku::new(sku).unwrap(), Quantity::ONE);
    Arc::new(Checkout::new([line]).unwrap())
}

fn waits(turn: Turn) -> oneshot::Receiver<Answer> {
    match turn {
        Turn::Wait(answered) => answered,
        _ => panic!("it should wait"),
    }
}

/// As if a worker were at work: it takes nobody before it is told to.
fn occupied(queue: &Arc<Queue>) -> Shift {
    queue.state().busy = true;
    Shift::begin(Arc::clone(queue))
}

#[tokio::test]
async fn a_checkout_that_meets_nobody_goes_alone() {
    let queue = queue(BatchOptions::new());
    let shift = occupied(&queue);
    let Turn::Alone(first) = queue.join(&cart("pot")) else {
        panic!("nobody was there");
    };
    let second = waits(queue.join(&cart("pot")));
    // Who comes later does not overtake.
    let third = waits(queue.join(&cart("mug")));
    assert_eq!(queue.depth(), 2);
    drop(first);
    drop((shift, second, third));
}

#[tokio::test]
async fn so_many_go_alone_and_no_more() {
    let queue = queue(BatchOptions::new());
    let _shift = occupied(&queue);
    let alone: Vec<Turn> = (0..Queue::ALONE)
        .map(|number| queue.join(&cart(&number.to_string())))
        .collect();
    assert!(alone.iter().all(|turn| matches!(turn, Turn::Alone(_))));
    let waiting = waits(queue.join(&cart("pot")));
    drop(alone);
    assert!(queue.state().alone.is_empty());
    drop(waiting);
}

#[tokio::test]
async fn a_batch_is_in_the_order_of_arrival_and_without_those_who_left() {
    let queue = queue(BatchOptions::new().always().with_batch(3));
    let mut shift = occupied(&queue);
    let carts: Vec<_> = (0..5).map(|number| cart(&number.to_string())).collect();
    let mut waiting: Vec<_> = carts.iter().map(|cart| waits(queue.join(cart))).collect();
    drop(waiting.remove(1));
    let ids = |batch: Option<Vec<Waiting>>| -> Option<Vec<_>> {
        let batch = batch?;
        Some(batch.iter().map(|one| one.request.id).collect())
    };
    assert_eq!(
        ids(shift.next()),
        Some(vec![carts[0].id, carts[2].id, carts[3].id])
    );
    assert_eq!(ids(shift.next()), Some(vec![carts[4].id]));
    assert_eq!(ids(shift.next()), None);
    assert!(!queue.state().busy);
}

#[tokio::test]
async fn a_large_cart_waits_for_its_turn_and_no_longer() {
    let queue = queue(BatchOptions::new().always());
    let mut shift = occupied(&queue);
    let large = |name: usize| {
        let lines = (0..900).map(|number| {
            let sku = Sku::new(format!("{name}-{number}")).unwrap();
            Line::new(sku, Quantity::ONE)
        });
        Arc::new(Checkout::new(lines).unwrap())
    };
    let waiting: Vec<_> = (0..5).map(|name| waits(queue.join(&large(name)))).collect();
    let sizes = [2, 2, 1].map(|_| shift.next().unwrap().len());
    assert_eq!(sizes, [2, 2, 1]);
    drop(waiting);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_says_when_it_will_be_served() {
    let queue = queue(BatchOptions::new().always().with_queue(2));
    let mut shift = occupied(&queue);
    let waiting = [(); 2].map(|()| waits(queue.join(&cart("pot"))));
    let retry_after = |turn| match turn {
        Turn::Full { retry_after } => retry_after,
        _ => panic!("it is full"),
    };
    assert_eq!(
        retry_after(queue.join(&cart("pot"))),
        Duration::from_secs(1)
    );
    let since = Instant::now();
    tokio::time::advance(Duration::from_millis(100)).await;
    shift.served(1, since); // ten per second, and two before us
    assert_eq!(
        retry_after(queue.join(&cart("pot"))),
        Duration::from_millis(200)
    );
    assert_eq!(shift.next().unwrap().len(), 2);
    drop((waiting, waits(queue.join(&cart("pot")))));
}

#[tokio::test]
async fn after_a_panic_somebody_else_serves() {
    let queue = queue(BatchOptions::new().always());
    let mut shift = occupied(&queue);
    let lost = waits(queue.join(&cart("pot")));
    let batch = shift.next().unwrap();
    let panicked = tokio::spawn(async move {
        let _at_work = (batch, shift);
        panic!("as a worker might");
    });
    let waiting = [(); 3].map(|()| waits(queue.join(&cart("pot"))));
    assert!(panicked.await.unwrap_err().is_panic());
    // Who was in its batch may have been sent.
    assert!(lost.await.is_err());
    for waiting in waiting {
        // The database is not there: each may try for himself.
        let answer = waiting.await.unwrap();
        assert!(matches!(answer, Answer::Alone { in_doubt: false }));
    }
    queue.close().await;
    assert!(!queue.state().busy);
}

#[tokio::test]
async fn a_closed_queue_serves_who_waits_and_nobody_else() {
    let queue = queue(BatchOptions::new().always());
    let waiting = waits(queue.join(&cart("pot")));
    queue.close().await;
    assert!(waiting.await.is_ok());
    assert!(matches!(queue.join(&cart("pot")), Turn::Closed));
}

#[tokio::test(start_paused = true)]
async fn when_locks_are_held_everybody_goes_alone_for_a_while() {
    let queue = queue(BatchOptions::new());
    let shift = occupied(&queue);
    let Turn::Alone(first) = queue.join(&cart("pot")) else {
        panic!("nobody was there");
    };
    queue.part();
    assert!(matches!(queue.join(&cart("pot")), Turn::Alone(_)));
    tokio::time::advance(APART).await;
    drop((waits(queue.join(&cart("pot"))), first, shift));
}
