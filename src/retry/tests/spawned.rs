//! The futures are `Send`, also if the closure captures references. These tests mostly have to compile.

use super::*;
use std::{
    future::{Ready, ready},
    sync::Arc,
};
use tokio::sync::Mutex;

#[tokio::test(start_paused = true)]
async fn a_retry_can_be_spawned() {
    let stock = Arc::new(Mutex::new(3));
    let policy = Arc::new(PLAIN);
    let (task_stock, task_policy) = (Arc::clone(&stock), Arc::clone(&policy));
    let task = tokio::spawn(async move {
        let stock = &*task_stock;
        let sku = String::from("mug-7");
        let sell = async |attempt: Attempt| {
            let mut stock = stock.lock().await;
            tokio::task::yield_now().await;
            if attempt.number() < 4 {
                return Err(Scripted(CONFLICT));
            }
            *stock -= 1;
            Ok(format!("{sku}: {stock}"))
        };
        with_retry(&task_policy, sell).await
    });
    assert_eq!(task.await.unwrap().unwrap(), "mug-7: 2");

    let boxed = tokio::spawn(async move {
        let stock = &stock;
        with_retry(&policy, |_| async move {
            Ok::<_, Scripted>(*stock.lock().await)
        })
        .await
    });
    assert_eq!(boxed.await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_lends_can_be_spawned() {
    let stock = Arc::new(Mutex::new(3));
    let task = tokio::spawn(async move {
        let (policy, stock) = (PLAIN, &*stock);
        let mut context = (Vec::new(), String::from("mug-7"));
        let sold = with_retry_mut(&policy, &mut context, async |(log, sku), attempt| {
            log.push(attempt.number());
            let mut stock = stock.lock().await;
            tokio::task::yield_now().await;
            if attempt.number() < 4 {
                return Err(Scripted(CONFLICT));
            }
            *stock -= 1;
            sku.push_str(" sold");
            Ok(*stock)
        })
        .await;
        (sold, context)
    });
    let (sold, (log, sku)) = task.await.unwrap();
    assert_eq!(sold.unwrap(), 2);
    assert_eq!((log, &*sku), (vec![1, 2, 3, 4], "mug-7 sold"));
}

#[tokio::test(start_paused = true)]
async fn an_unsized_context_is_lent() {
    let mut row = [0_u8; 3];
    let context: &mut [u8] = &mut row;
    let written = with_retry_mut(&PLAIN, context, async |row, _| {
        row.fill(7);
        Ok::<_, Scripted>(row.len())
    });
    assert_eq!(written.await.unwrap(), 3);
    assert_eq!(row, [7; 3]);
}

#[tokio::test]
async fn plain_functions_are_operations_too() {
    fn number(attempt: Attempt) -> Ready<Result<u32, Scripted>> {
        ready(Ok(attempt.number()))
    }
    async fn count(made: &mut u32, attempt: Attempt) -> Result<u32, Scripted> {
        *made += attempt.number();
        Ok(*made)
    }
    assert_eq!(with_retry(&PLAIN, number).await.unwrap(), 1);
    assert_eq!(with_retry_mut(&PLAIN, &mut 4, count).await.unwrap(), 5);
}
