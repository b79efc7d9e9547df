//! The OpenAPI document, the pages of problems, and the metrics that alerts and dashboards name.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use super::client::{ADMIN, ANA, OpenShop, body};
use crate::guide::blocks::blocks;

/// Returns the operations of the document as "GET /path", and the document.
fn operations() -> (BTreeSet<String>, Value) {
    let document = include_str!("../../../../examples/storefront/src/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let methods = methods.as_object().unwrap().keys();
        let methods = methods.filter(|it| matches!(it.as_str(), "get" | "put" | "post" | "delete"));
        operations.extend(methods.map(|method| format!("{} {path}", method.to_uppercase())));
    }
    (operations, document)
}

/// Returns the operations of the router as "GET /path".
fn routes() -> BTreeSet<String> {
    let source = include_str!("../../../../examples/storefront/src/lib.rs");
    let (_, source) = source.split_once("pub fn router").unwrap();
    let source = source.replace(['\n', ' '], "");
    let mut routes = BTreeSet::new();
    let (marketplace, others) = source.split_once("letrouter=").unwrap();
    for (prefix, source) in [("/api/marketplace", marketplace), ("", others)] {
        for route in source.split(".route(\"").skip(1) {
            let (path, handlers) = route.split_once('"').unwrap();
            for method in ["get", "put", "post", "delete"] {
                if handlers.contains(&format!("{method}(")) {
                    routes.insert(format!("{} {prefix}{path}", method.to_uppercase()));
                }
            }
        }
    }
    routes
}

#[tokio::test]
async fn the_document_lists_the_routes() {
    let open = OpenShop::new().await;
    let (documented, document) = operations();
    let mut routes = routes();
    // Pages, not operations of the API.
    for page in ["/", "/dashboard", "/assets/{file}", "/problems/{code}"] {
        assert!(routes.remove(&format!("GET {page}")), "{page}");
    }
    let is_page = |it: &String| it == "GET /problems/{code}";
    let documented: BTreeSet<_> = documented.into_iter().filter(|it| !is_page(it)).collect();
    assert_eq!(documented, routes);
    let served = open.client.get("/openapi.json");
    assert_eq!(body(served, 200).await, document);
}

/// Collects the codes of problems, which the schemas give as `const` or `enum`.
fn collect_codes(schema: &Value, codes: &mut BTreeSet<String>) {
    let Value::Object(members) = schema else {
        let items = schema.as_array().into_iter().flatten();
        return items.for_each(|item| collect_codes(item, codes));
    };
    if let Some(code) = members.get("code") {
        let several = code["enum"].as_array().into_iter().flatten();
        let all = several.chain(code.get("const"));
        codes.extend(all.filter_map(Value::as_str).map(str::to_owned));
    }
    members.values().for_each(|it| collect_codes(it, codes));
}

#[tokio::test]
async fn every_documented_problem_has_a_page() {
    let open = OpenShop::new().await;
    let mut codes = BTreeSet::new();
    collect_codes(&operations().1, &mut codes);
    assert!(codes.len() > 15, "{codes:?}");
    for code in codes {
        let page = open.client.get(&format!("/problems/{code}"));
        assert_eq!(page.send().await.unwrap().status(), 200, "{code}");
    }
}

/// Returns the words of a text that look like a name of a metric.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let names = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let is_metric = |name: &&str| {
        ["optilock_", "http_re", "storefront_"]
            .iter()
            .any(|it| name.starts_with(it))
    };
    names.filter(is_metric).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_watched_metric_exists() {
    let open = OpenShop::new().await;
    let client = &open.client;
    let change = json!({ "name": "Rug", "price": { "minor": 1, "currency": "MXN" } });
    client.change_product("rug", &change).await;
    client.put_into_cart(ANA, "rug", 1).await;
    body(client.checkout(ANA, "key"), 201).await;
    // The first tick sets the gauges.
    let events = client.get("/api/dashboard/events").bearer_auth(ADMIN);
    events.send().await.unwrap().chunk().await.unwrap();
    let metrics = client.get("/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    for file in [
        include_str!("../../../../examples/storefront/ops/alerts.yml"),
        include_str!("../../../../examples/storefront/ops/grafana.json"),
    ] {
        let watched = metrics_in(file);
        assert!(watched.len() >= 5, "{watched:?}");
        for name in watched {
            let exists = metrics.lines().any(|line| {
                let rest = line.strip_prefix(&*name);
                rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            });
            assert!(exists, "{name} is not in\n{metrics}");
        }
    }
}

/// The guide's commands as they stand, but for the address: two shoppers, one rug.
#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_guide_sell_the_rug_once() {
    let open = OpenShop::new().await;
    let guide = include_str!("../../../../src/guide/examples.md");
    let commands = blocks(guide, "sh").into_iter();
    let commands: String = commands.filter(|block| block.contains("curl")).collect();
    let commands = commands.replace("127.0.0.1:3000", open.client.host());
    let run = move || Command::new("bash").args(["-c", &commands]).output();
    let output = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    let answers = String::from_utf8(output.stdout).unwrap();
    let mut statuses: Vec<&str> = answers
        .lines()
        .filter_map(|line| line.get(line.len().checked_sub(3)?..))
        .filter(|end| end.bytes().all(|it| it.is_ascii_digit()))
        .collect();
    statuses.sort_unstable();
    assert_eq!(statuses, ["201", "400"], "this test needs curl: {answers}");
    assert!(answers.contains("insufficient-stock"), "{answers}");
    assert_eq!(open.client.stock("rug").await, 0);
}
