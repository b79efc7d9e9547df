//! The connections of batches that overlap.

use optilock::sqlx::{self, Executor};

use super::{OPTIONS, batched_with, one_pot, spawn_checkouts};
use crate::support::{
    db::{Default, assert_balanced},
    goods::{add, stock_of},
};

/// A batch is planned while another one of its product is written, and is then sent on the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_sent_on_the_connection_of_the_one_that_it_follows() {
    let options = OPTIONS.always().with_batch(64);
    let (db, shop) = batched_with(Default::ReadCommitted, options).await;
    add(&shop, "pot", 1_000).await;
    let log = "CREATE TABLE public.batches (number bigserial, backend int);
        CREATE FUNCTION public.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.batches (backend) VALUES (pg_backend_pid());
            PERFORM pg_sleep(0.005);
            RETURN NEW; END $$;
        CREATE TRIGGER log BEFORE UPDATE ON optilock.products FOR EACH ROW EXECUTE FUNCTION public.log()";
    db.pool.execute(log).await.unwrap();
    for answer in spawn_checkouts(&shop, (0..640).map(|_| one_pot())) {
        answer.await.unwrap().unwrap();
    }
    let switches = "SELECT count(*), count(*) FILTER (WHERE backend <> before) FROM (
            SELECT backend, lag(backend) OVER (ORDER BY number) AS before FROM public.batches) b";
    let (batches, switches): (i64, i64) =
        sqlx::query_as(switches).fetch_one(&db.pool).await.unwrap();
    assert!(batches >= 10, "{batches} batches");
    // One that takes more than 50 ms does not keep the next one waiting.
    assert!(switches <= 3, "{switches} of {batches}");
    assert_eq!(stock_of(&shop, "pot").await, 360);
    assert_balanced(&db.pool).await;
}
