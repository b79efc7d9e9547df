use sqlx::postgres::PgPoolOptions;

use super::*;
use crate::inventory::{
    batch::worker::{self, Worker},
    model::{Line, Quantity, Sku},
};

/// A queue of an unreachable database.
fn queue(options: BatchOptions) -> Arc<Queue> {
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(10));
    let pool = pool.connect_lazy("postgres://localhost:1/unreachable");
    Arc::new(Queue::new(
        PgInventory::new(pool.unwrap()),
        options,
        worker::spawn,
    ))
}

fn cart(sku: &str) -> Arc<Checkout> {
    let line = Line::new(Sku::new(sku).unwrap(), Quantity::ONE);
    Arc::new(Checkout::new([line]).unwrap())
}

fn queued(admission: Admission) -> oneshot::Receiver<Answer> {
    match admission {
        Admission::Queued(answer) => answer,
        _ => panic!("the request is not queued"),
    }
}

fn direct(admission: Admission) -> Direct {
    match admission {
        Admission::Direct(direct) => direct,
        _ => panic!("the request is not direct"),
    }
}

/// Returns the worker of this queue, which takes batches when the test says so.
fn idle_worker(queue: &Arc<Queue>) -> Worker {
    queue.state().has_worker = true;
    Worker::new(Arc::clone(queue))
}

#[tokio::test]
async fn an_uncontended_checkout_bypasses_the_queue() {
    let queue = queue(BatchOptions::new());
    let worker = idle_worker(&queue);
    let first = direct(queue.admit(&cart("pot")));
    let second = queued(queue.admit(&cart("pot")));
    // A later request does not overtake a queued one.
    let third = queued(queue.admit(&cart("mug")));
    assert_eq!(queue.depth(), 2);
    drop(first);
    drop((worker, second, third));
}

#[tokio::test]
async fn the_number_of_direct_checkouts_is_limited() {
    let queue = queue(BatchOptions::new());
    let _worker = idle_worker(&queue);
    let all_direct: Vec<Direct> = (0..Queue::MAX_DIRECT)
        .map(|number| direct(queue.admit(&cart(&number.to_string()))))
        .collect();
    let answer = queued(queue.admit(&cart("pot")));
    drop(all_direct);
    assert!(queue.state().direct.is_empty());
    drop(answer);
}

#[tokio::test]
async fn a_batch_is_in_the_order_of_arrival_and_without_abandoned_requests() {
    let queue = queue(BatchOptions::new().always().with_batch(3));
    let mut worker = idle_worker(&queue);
    let carts: Vec<_> = (0..5).map(|number| cart(&number.to_string())).collect();
    let mut answers: Vec<_> = carts.iter().map(|cart| queued(queue.admit(cart))).collect();
    drop(answers.remove(1));
    let ids = |batch: Option<Vec<Queued>>| -> Option<Vec<_>> {
        let batch = batch?;
        Some(batch.iter().map(|queued| queued.request.id).collect())
    };
    assert_eq!(
        ids(worker.next_batch()),
        Some(vec![carts[0].id, carts[2].id, carts[3].id])
    );
    assert_eq!(ids(worker.next_batch()), Some(vec![carts[4].id]));
    assert_eq!(ids(worker.next_batch()), None);
    assert!(!queue.state().has_worker);
}

#[tokio::test]
async fn the_lines_of_a_batch_are_limited() {
    let queue = queue(BatchOptions::new().always());
    let mut worker = idle_worker(&queue);
    let large = |name: usize| {
        let lines = (0..900).map(|number| {
            let sku = Sku::new(format!("{name}-{number}")).unwrap();
            Line::new(sku, Quantity::ONE)
        });
        Arc::new(Checkout::new(lines).unwrap())
    };
    let answers: Vec<_> = (0..5)
        .map(|name| queued(queue.admit(&large(name))))
        .collect();
    let sizes = [2, 2, 1].map(|_| worker.next_batch().unwrap().len());
    assert_eq!(sizes, [2, 2, 1]);
    drop(answers);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_returns_when_it_will_be_drained() {
    let queue = queue(BatchOptions::new().always().with_queue(2));
    let mut worker = idle_worker(&queue);
    let answers = [(); 2].map(|()| queued(queue.admit(&cart("pot"))));
    let retry_after = |admission| match admission {
        Admission::Full { retry_after } => retry_after,
        _ => panic!("the queue is not full"),
    };
    assert_eq!(
        retry_after(queue.admit(&cart("pot"))),
        Duration::from_secs(1)
    );
    let began = Instant::now();
    tokio::time::advance(Duration::from_millis(100)).await;
    queue.record_rate(1, began); // ten per second, and two are queued
    assert_eq!(
        retry_after(queue.admit(&cart("pot"))),
        Duration::from_millis(200)
    );
    assert_eq!(worker.next_batch().unwrap().len(), 2);
    drop((answers, queued(queue.admit(&cart("pot")))));
}

#[tokio::test]
async fn after_a_panic_another_worker_takes_over() {
    let queue = queue(BatchOptions::new().always());
    let mut worker = idle_worker(&queue);
    let in_batch = queued(queue.admit(&cart("pot")));
    let batch = worker.next_batch().unwrap();
    let panicked = tokio::spawn(async move {
        let _dropped = (batch, worker);
        panic!("the worker panics");
    });
    let answers = [(); 3].map(|()| queued(queue.admit(&cart("pot"))));
    assert!(panicked.await.unwrap_err().is_panic());
    // The batch may have been sent.
    assert!(in_batch.await.is_err());
    for answer in answers {
        // The database is unreachable: nothing was sent.
        let answer = answer.await.unwrap();
        assert!(matches!(answer, Answer::Bypass { in_doubt: false }));
    }
    queue.close().await;
    assert!(!queue.state().has_worker);
}

#[tokio::test]
async fn a_closed_queue_answers_queued_requests_and_rejects_new_ones() {
    let queue = queue(BatchOptions::new().always());
    let answer = queued(queue.admit(&cart("pot")));
    queue.close().await;
    assert!(answer.await.is_ok());
    assert!(matches!(queue.admit(&cart("pot")), Admission::Closed));
}

#[tokio::test(start_paused = true)]
async fn after_a_lock_timeout_requests_bypass_the_queue_for_a_while() {
    let queue = queue(BatchOptions::new());
    let worker = idle_worker(&queue);
    let first = direct(queue.admit(&cart("pot")));
    queue.bypass_for_a_while();
    drop(direct(queue.admit(&cart("pot"))));
    tokio::time::advance(DIRECT_FOR).await;
    drop((queued(queue.admit(&cart("pot"))), first, worker));
}
