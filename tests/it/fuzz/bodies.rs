//! The storefront's bodies, headers, paths and query strings, in-process: each is served or refused with a problem.

mod requests;
mod shop;

use std::{cell::Cell, sync::Arc};

use axum::{
    body::{Body, to_bytes},
    http::{Request, Response, StatusCode, header},
};
use optilock::sqlx;
use proptest::{
    prop_assert, prop_assert_eq,
    strategy::{BoxedStrategy, Strategy},
    test_runner::TestCaseError,
};
use serde_json::Value;
use tower::ServiceExt;

use super::{CASES, clear::is_clear};
use crate::support::db::assert_balanced_in;
use requests::Sent;
use shop::OpenShop;

/// The cases of each body in a run that is not asked for all: each is a request to a server.
const SOME: u32 = CASES / 1_000;

/// Returns what a refused request must not change.
async fn stored(shop: &OpenShop) -> String {
    let all = "SELECT concat_ws(' ',
        (SELECT sum(version) + sum(revision) + sum(stock) + sum(reserved) FROM storefront.products),
        (SELECT count(*) + sum(version) FROM storefront.orders),
        (SELECT sum(held) FROM storefront.holds),
        (SELECT count(*) FROM storefront.movements),
        (SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM storefront.shop_carts t))";
    sqlx::query_scalar(all)
        .fetch_one(&shop.db.pool)
        .await
        .unwrap()
}

/// Asserts that the response is a success, or a problem that says why and nothing of the implementation.
async fn is_served_or_refused(
    sent: &Sent,
    response: Response<Body>,
) -> Result<bool, TestCaseError> {
    let (parts, body) = response.into_parts();
    // The stream of a race ends with the race.
    let body = to_bytes(body, usize::MAX).await.unwrap();
    if parts.status.is_success() || parts.status == StatusCode::NOT_MODIFIED {
        return Ok(true);
    }
    prop_assert!(
        parts.status.is_client_error(),
        "{} {:?}",
        parts.status,
        sent
    );
    prop_assert!(parts.status != StatusCode::TOO_MANY_REQUESTS, "{:?}", sent);
    prop_assert_eq!(
        &parts.headers[header::CONTENT_TYPE],
        "application/problem+json"
    );
    let problem: Value = serde_json::from_slice(&body).unwrap();
    prop_assert_eq!(&problem["status"], &Value::from(parts.status.as_u16()));
    for member in ["type", "title", "code", "request_id"] {
        let said = problem[member].as_str().unwrap_or_default();
        prop_assert!(!said.is_empty(), "{} is empty in {}", member, problem);
    }
    let detail = problem["detail"].as_str().unwrap_or_default().to_owned();
    is_clear(&detail, &sent.text())?;
    Ok(false)
}

fn run(name: &str, cases: u32, requests: impl Strategy<Value = Sent>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shop = runtime.block_on(OpenShop::new());
    let (served, refused) = (Cell::new(0), Cell::new(0));
    super::run(name, cases, requests, |sent| {
        runtime.block_on(async {
            let Some(request) = sent.request(shop.next_token(sent.admin).await, &shop) else {
                return Ok(()); // no server receives such a request
            };
            let before = stored(&shop).await;
            let response = send(&shop, request).await;
            if is_served_or_refused(&sent, response).await? {
                served.set(served.get() + 1);
            } else {
                refused.set(refused.get() + 1);
                prop_assert_eq!(stored(&shop).await, before, "{:?}", sent);
            }
            Ok(())
        })
    });
    let (served, refused) = (served.get(), refused.get());
    println!("{name}: {served} served, {refused} refused");
    assert!(
        served > 0 && refused > 0,
        "{name}: {served} served, {refused} refused"
    );
    runtime.block_on(assert_balanced_in(
        &shop.db.pool,
        storefront::database::SCHEMA,
    ));
}

async fn send(shop: &OpenShop, request: Request<Body>) -> Response<Body> {
    let router = storefront::router(Arc::clone(&*shop.shop.lock().await));
    router.oneshot(request).await.unwrap()
}

/// Defines for each name a test with a share of the cases, and one with all of them.
macro_rules! bodies {
    ($($name:ident)*) => {$(
        mod $name {
            use super::*;

            fn input() -> BoxedStrategy<Sent> {
                requests::$name()
            }

            #[test]
            fn some() {
                run(stringify!($name), SOME, input());
            }

            #[test]
            #[ignore = "takes minutes"]
            fn all() {
                run(stringify!($name), CASES, input());
            }
        }
    )*};
}

bodies! { cart_item cart_path checkout reserve extend cancel product adjustment product_list product_path report race }
