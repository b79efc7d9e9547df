//! The app of the guide's page about axum, called as a server calls it, on PostgreSQL.

use std::time::Duration;

use axum::{
    Router,
    body::Body,
    http::{Method, Request, header},
};
use optilock::{
    inventory::{OrderId, PgInventory},
    postgres::PoolOptions,
    sqlx::PgPool,
};
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::support::{
    bank::TABLE,
    db::{Db, assert_balanced, assert_idle, pool_options},
    goods::add,
    proxy::{Cut, Proxy},
    responses::Answer,
    triggers::run,
};

#[path = "../../../src/guide/axum.rs"]
mod app;

async fn with_accounts() -> Db {
    let db = Db::new().await;
    run(&db.pool, TABLE).await;
    let sql = "INSERT INTO bank.accounts VALUES (1, 'Ana', 100, 1), (2, 'Luis', 0, 1)";
    run(&db.pool, sql).await;
    db
}

/// Sends one request. `tag` is its `If-Match`.
async fn send(app: &Router, method: Method, path: &str, tag: Option<&str>, body: &Value) -> Answer {
    let mut request = Request::new(Body::from(body.to_string()));
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
    if let Some(tag) = tag {
        headers.insert(header::IF_MATCH, tag.parse().unwrap());
    }
    Answer::of(app.clone().oneshot(request).await).await
}

async fn rename(app: &Router, tag: Option<&str>, owner: &str) -> Answer {
    let body = json!({ "owner": owner });
    send(app, Method::PUT, "/accounts/1/owner", tag, &body).await
}

async fn transfer(app: &Router, cents: i64) -> Answer {
    let body = json!({ "from": 1, "to": 2, "cents": cents });
    send(app, Method::POST, "/transfers", None, &body).await
}

async fn show(app: &Router, id: i64) -> Answer {
    send(
        app,
        Method::GET,
        &format!("/accounts/{id}"),
        None,
        &json!(null),
    )
    .await
}

#[tokio::test]
async fn a_version_travels_to_the_client_and_back() {
    let db = with_accounts().await;
    let app = app::router(db.pool.clone());
    let shown = show(&app, 1).await;
    assert_eq!((shown.status, shown.header("etag")), (200, Some("\"1\"")));
    let expected = json!({ "id": 1, "owner": "Ana", "cents": 100, "version": 1 });
    assert_eq!(shown.json(), expected);
    let facts = show(&app, 9).await.problem(404, "not-found");
    assert_eq!(
        (&facts["entity"], &facts["id"]),
        (&json!("account"), &json!("9"))
    );

    rename(&app, None, "Eva")
        .await
        .bare_problem(428, "precondition-required");
    rename(&app, Some("1"), "Eva")
        .await
        .bare_problem(400, "invalid-if-match");
    let renamed = rename(&app, Some("\"1\""), "Eva").await;
    assert_eq!(
        (renamed.status, renamed.header("etag")),
        (200, Some("\"2\""))
    );
    let late = rename(&app, Some("\"1\""), "Eve").await;
    assert_eq!(late.header("etag"), Some("\"2\""));
    let facts = late.problem(412, "precondition-failed");
    assert_eq!(
        (&facts["current"], &facts["named"]),
        (&json!(2), &json!([1]))
    );
    assert_eq!(show(&app, 1).await.json()["owner"], "Eva");
}

/// Each request names the version that it has read, so of those with one version exactly one is executed.
#[tokio::test(flavor = "multi_thread")]
async fn of_many_writers_of_one_version_one_wins() {
    let db = with_accounts().await;
    let app = app::router(db.pool.clone());
    for round in 1..=5 {
        let tag = format!("\"{round}\"");
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (app, tag) = (app.clone(), tag.clone());
            writers
                .spawn(async move { rename(&app, Some(&tag), &format!("w{writer}")).await.status });
        }
        let mut answers = writers.join_all().await;
        answers.sort_unstable();
        assert_eq!(answers, [200, 412, 412, 412, 412, 412, 412, 412]);
    }
}

#[tokio::test]
async fn an_operation_without_a_version_is_refused_by_its_own_rules() {
    let db = with_accounts().await;
    let app = app::router(db.pool.clone());
    assert_eq!(transfer(&app, 30).await.status, 204);
    let refused = transfer(&app, 100).await.problem(409, "overdrawn");
    assert_eq!(refused["missing"], 30);
    assert_eq!(show(&app, 2).await.json()["cents"], 30);

    // A writer that is faster each time, as far as the transaction can see.
    let sql = "CREATE FUNCTION bank.lose() RETURNS trigger LANGUAGE plpgsql AS $$
                   BEGIN RAISE EXCEPTION 'row of db-7.internal' USING ERRCODE = '40001'; END $$;
               CREATE TRIGGER lose BEFORE UPDATE ON bank.accounts FOR EACH ROW EXECUTE FUNCTION bank.lose()";
    run(&db.pool, sql).await;
    let lost = transfer(&app, 1).await;
    lost.bare_problem(409, "conflict");
    assert!(!lost.text.contains("db-7"), "{lost:?}");
}

#[tokio::test]
async fn an_order_is_made_once_and_a_shortage_has_its_facts() {
    let db = with_accounts().await;
    add(&PgInventory::new(db.pool.clone()), "pot", 3).await;
    let app = app::router(db.pool.clone());
    let path = format!("/orders/{}", OrderId::new());
    let two = json!({ "sku": "pot", "quantity": 2 });
    let made = send(&app, Method::PUT, &path, None, &two).await;
    assert_eq!((made.status, made.header("etag")), (201, Some("\"1\"")));
    // The answer was lost, and the client sends the same request again.
    let again = send(&app, Method::PUT, &path, None, &two).await;
    assert_eq!(
        (again.status, &again.json()["id"]),
        (201, &made.json()["id"])
    );
    let next = format!("/orders/{}", OrderId::new());
    let short = send(&app, Method::PUT, &next, None, &two)
        .await
        .problem(400, "insufficient-stock");
    let facts = json!([{ "sku": "pot", "requested": 2, "available": 1 }]);
    assert_eq!(short["shortages"], facts);
    assert_balanced(&db.pool).await;
}

/// Returns a pool of one connection, which waits briefly for it.
fn impatient() -> PoolOptions {
    pool_options(1).acquire_timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn a_busy_database_says_when_to_come_again() {
    let db = with_accounts().await;
    let pool: PgPool = impatient()
        .connect_with(db.database.options())
        .await
        .unwrap();
    let app = app::router(pool.clone());
    let taken = pool.acquire().await.unwrap();
    for busy in [
        show(&app, 1).await,
        transfer(&app, 1).await,
        rename(&app, Some("*"), "Eva").await,
    ] {
        busy.bare_problem(503, "busy");
        assert_eq!(busy.header("retry-after"), Some("1"));
    }
    drop(taken);
    assert_eq!(show(&app, 1).await.status, 200);
}

/// The answer to the write, or to the COMMIT, is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_outcome_has_no_time_to_come_again() {
    let db = with_accounts().await;
    let proxy = Proxy::new(&db).await;
    let app = app::router(proxy.pool(1).await);
    proxy.trap(b"Zenobia", Cut::Reply);
    let renamed = rename(&app, Some("\"1\""), "Zenobia").await;
    proxy.trap(b"COMMIT\0", Cut::Reply);
    let transferred = transfer(&app, 30).await;
    assert_idle(&db.pool).await;
    for unknown in [renamed, transferred] {
        unknown.bare_problem(503, "unknown-outcome");
        assert_eq!(unknown.header("retry-after"), None);
    }
    // The client reads, as the answer asks, and finds both executed.
    let account = show(&app, 1).await.json();
    let expected = json!({ "id": 1, "owner": "Zenobia", "cents": 70, "version": 3 });
    assert_eq!(account, expected);
}
