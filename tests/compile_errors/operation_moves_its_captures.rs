//! An `async move` closure, which cannot lend its captures to each attempt.

use optilock::{Conflict, RetryPolicy, with_retry_mut};

async fn sell(sku: String) {
    let policy = RetryPolicy::new();
    let mut sold = 0;
    let result = with_retry_mut(&policy, &mut sold, async move |sold, _| {
        *sold += sku.len();
        Ok::<_, Conflict>(())
    });
    result.await.unwrap();
}

fn main() {}
