//! A closure that changes a captured variable instead of the context.

use optilock::{Conflict, RetryPolicy, with_retry_mut};

async fn sell() -> usize {
    let policy = RetryPolicy::new();
    let (mut sold, mut attempts) = (0, 0);
    let result = with_retry_mut(&policy, &mut sold, async |sold, _| {
        *sold += 1;
        attempts += 1;
        Ok::<_, Conflict>(())
    });
    result.await.unwrap();
    attempts
}

fn main() {}
