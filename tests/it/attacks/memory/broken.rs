//! Operations that break a rule, on purpose: the loop notices each. In memory nothing waits for a row and nothing is
//! left behind, so the rules about other rows and about the aftermath have no operation.

use optilock::inventory::{Adjustment, Error};

use super::{
    GROUPS, Harness, OnRepeat, Operation, Variant,
    matrix::{Harness as _, run_cell},
};
use crate::attacks::inventory::{
    fixture::Setup,
    operations::{Completion, Run},
};

async fn failure_of(after: Option<&'static str>, run: Run, surrounding: &str) -> String {
    let operation = Box::leak(Box::new(Operation {
        method: "broken",
        scenario: "",
        special: &[],
        setup: Setup::Stocked,
        after,
        on_repeat: OnRepeat::Replayed,
        run,
        run_in: None,
    }));
    let harness = Harness::new().await;
    let mut all = GROUPS.iter().flat_map(|group| group.surroundings);
    let surrounding = all.find(|it| it.name == surrounding).unwrap();
    let result = run_cell(&harness, &Variant(operation), surrounding, "on purpose").await;
    result.expect_err("the loop noticed nothing")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_without_an_end_is_noticed() {
    let run: Run = |_, _| Box::pin(std::future::pending());
    let text = failure_of(None, run, "0 undisturbed").await;
    assert!(text.contains("does not end"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_done_and_not_stored_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Ok(Completion::Done) });
    let text = failure_of(Some("more"), run, "0 undisturbed").await;
    assert!(text.contains("done is"), "{text}");
}

/// It takes effect each time that it is sent.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_effect_is_noticed() {
    let run: Run = |shop, fixture| {
        Box::pin(async move {
            let more = Adjustment::new(fixture.pot(), 1, "again").unwrap();
            shop.adjust_stock(more).await.map(|_| Completion::Done)
        })
    };
    let text = failure_of(Some("more"), run, "18 later").await;
    assert!(text.contains("Some(Done), and stored is"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_wrong_class_is_noticed() {
    let run: Run = |_, _| Box::pin(async { Err(Error::busy(None)) });
    let text = failure_of(None, run, "0 undisturbed").await;
    assert!(text.contains("NotDone(Error(Busy"), "{text}");
}
