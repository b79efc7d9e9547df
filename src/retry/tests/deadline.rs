//! The deadline, and the time that counts towards it.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_deadline_counts_from_the_start_of_the_first_attempt() {
    // Attempts end at 1.0, 2.0 and 3.01; the deadline is at 3.0.
    let start = Instant::now();
    let (played, seen) = play(&PLAIN, &[CONFLICT; 12], ms(1_000)).await;
    let error = played.unwrap_err();
    assert_eq!((error.attempts, error.reason), (3, StopReason::Deadline));
    assert_eq!(error.elapsed, ms(3_010));
    assert_eq!(seen.millis(), [0, 1_000, 2_010]);
    assert_eq!(start.elapsed(), ms(3_010), "no sleep before giving up");
}

/// "3 seconds in all" took 6.0 s and was reported as 3.0 s.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_the_whole_deadline_is_the_only_one() {
    for class in [CONFLICT, BUSY] {
        let start = Instant::now();
        let lent = play(&PLAIN, &[class; 12], ms(3_000)).await.0.unwrap_err();
        assert_eq!(start.elapsed(), ms(3_000), "with_retry_mut, {class}");

        let start = Instant::now();
        let captured = with_retry(&PLAIN, async |_| {
            tokio::time::sleep(ms(3_000)).await;
            Err::<(), _>(Scripted(class))
        });
        let captured = captured.await.unwrap_err();
        assert_eq!(start.elapsed(), ms(3_000), "with_retry, {class}");

        // The loop of a transaction.
        let start = Instant::now();
        let mut run = Run::new(&PLAIN);
        let run = loop {
            tokio::time::sleep(ms(3_000)).await;
            if let Err(stopped) = run.wait(Scripted(class)).await {
                break stopped;
            }
        };
        assert_eq!(start.elapsed(), ms(3_000), "Run, {class}");

        for stopped in [lent, captured, run] {
            let expected = (1, StopReason::Deadline, ms(3_000));
            let found = (stopped.attempts, stopped.reason, stopped.elapsed);
            assert_eq!(found, expected, "{class}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_wait_of_the_first_attempt_counts() {
    let twice = with_retry(&PLAIN, async |_| {
        tokio::time::sleep(ms(1_000)).await;
        tokio::time::sleep(ms(1_000)).await;
        Err::<(), _>(Scripted(Class::Permanent))
    });
    assert_eq!(twice.await.unwrap_err().elapsed, ms(2_000));
}

#[tokio::test(start_paused = true)]
async fn a_delay_past_the_deadline_is_not_slept() {
    let policy = PLAIN.with_deadline(Some(ms(500)));
    let start = Instant::now();
    let error = stop(&policy, &[busy_for(501)]).await;
    assert_eq!((error.attempts, error.reason), (1, StopReason::Deadline));
    assert_eq!(start.elapsed(), Duration::ZERO);
    // A delay that ends in time is slept.
    assert!(
        play(&policy, &[busy_for(500)], Duration::ZERO)
            .await
            .0
            .is_ok()
    );

    let never = PLAIN.with_deadline(Some(Duration::ZERO));
    assert_eq!(stop(&never, &[CONFLICT]).await.reason, StopReason::Deadline);
    let endless = PLAIN.with_deadline(None);
    let (played, seen) = play(&endless, &[busy_for(86_400_000)], Duration::ZERO).await;
    assert!(played.is_ok());
    assert_eq!(seen.millis(), [0, 86_400_000]);
}

#[tokio::test(start_paused = true)]
async fn extreme_settings_end_at_the_deadline() {
    let policy = PLAIN
        .with_base_delay(Duration::MAX)
        .with_max_delay(Duration::MAX)
        .with_factor(u32::MAX)
        .with_max_attempts(u32::MAX);
    assert_eq!(
        stop(&policy, &[CONFLICT; 3]).await.reason,
        StopReason::Deadline
    );
    let policy = policy
        .with_deadline(Some(Duration::MAX))
        .with_max_attempts(10_000);
    let policy = policy.with_base_delay(Duration::ZERO);
    let error = stop(&policy, &[CONFLICT; 10_000]).await;
    assert_eq!(
        (error.attempts, error.reason),
        (10_000, StopReason::Attempts)
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_knows_the_elapsed_time() {
    let elapsed = with_retry(&PLAIN, async |attempt| {
        let before = attempt.elapsed();
        tokio::time::sleep(ms(100)).await;
        match attempt.number() {
            3 => Ok((before, attempt.elapsed())),
            _ => Err(Scripted(CONFLICT)),
        }
    });
    // 100 for the first and the second each, a delay of 10, 100 for the third.
    assert_eq!(elapsed.await.unwrap(), (ms(210), ms(310)));
    let run = Run::new(&PLAIN);
    tokio::time::sleep(ms(100)).await;
    assert_eq!(run.attempt().elapsed(), ms(100));
    assert_eq!(Attempt::FIRST.elapsed(), Duration::ZERO);
}
