//! Generated requests of each endpoint.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Method, Request, header},
};
use proptest::{
    collection::vec,
    option,
    prelude::{Just, any},
    prop_oneof,
    sample::select,
    strategy::{BoxedStrategy, Strategy},
};
use uuid::Uuid;

use super::shop::{OpenShop, PRODUCT};
use crate::fuzz::{
    json::{self, member, object},
    numbers::numbers,
    texts::{near, texts},
};

const MARKETPLACE: &str = "/api/marketplace";
/// Stands for the id of what the shop has.
const ORDER: &str = "(order)";
const RESERVATION: &str = "(reservation)";
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[derive(Clone, Debug)]
pub struct Sent {
    pub admin: bool,
    method: Method,
    address: String,
    content_type: Option<&'static str>,
    header: Option<(HeaderName, Vec<u8>)>,
    body: Vec<u8>,
}

impl Sent {
    /// Returns the request, unless HTTP has none like it.
    pub fn request(&self, token: String, shop: &OpenShop) -> Option<Request<Body>> {
        let address = self.address.replace(ORDER, &shop.order.to_string());
        let address = address.replace(RESERVATION, &shop.reservation.to_string());
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(address)
            .header(header::AUTHORIZATION, format!("Bearer {token}"));
        if let Some(content_type) = self.content_type {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        if let Some((name, value)) = &self.header {
            request = request.header(name, HeaderValue::from_bytes(value).ok()?);
        }
        request.body(Body::from(self.body.clone())).ok()
    }

    /// Returns all that an error may quote.
    pub fn text(&self) -> String {
        let header = self.header.iter().flat_map(|(_, value)| value.clone());
        let header = header.collect::<Vec<u8>>();
        let quoted = [&header, &self.body].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        format!("{}{}", self.address, quoted.concat())
    }
}

/// A text in a path or a query: encoded, or as it is where that is possible.
fn encoded(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let encode = |text: String| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let encoded = text.bytes().map(|byte| match plain(byte) {
            true => char::from(byte).to_string(),
            false => format!("%{byte:02X}"),
        });
        encoded.collect::<String>()
    };
    let odd = select(vec![
        "%", "%zz", "%00", "%C3%28", "%ff", "a%2Fb", "..%2f", "+", "a&b=c", ";",
    ]);
    prop_oneof![8 => text.prop_map(encode), 1 => odd.prop_map(str::to_owned)].boxed()
}

fn skus() -> BoxedStrategy<String> {
    prop_oneof![6 => Just(PRODUCT.to_owned()), 2 => near("[a-z]{1,200}"), 1 => texts()].boxed()
}

fn text_of(text: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    let quoted = text.prop_map(|text| serde_json::to_string(&text).unwrap());
    quoted.boxed()
}

fn number() -> BoxedStrategy<String> {
    numbers().prop_map(|number| number.to_string()).boxed()
}

fn small(most: i64) -> BoxedStrategy<String> {
    prop_oneof![2 => (1..=most).prop_map(|it| it.to_string()), 1 => number()].boxed()
}

/// A body of JSON, sometimes with bytes that are no UTF-8, sometimes larger than the limit.
fn bodies(json: BoxedStrategy<String>) -> BoxedStrategy<Vec<u8>> {
    let json = prop_oneof![9 => json, 1 => json::values()];
    (json, any::<u8>(), 0..60_u8)
        .prop_map(|(json, byte, how)| {
            let mut body = json.into_bytes();
            match how {
                0 => body.push(0xff),
                1 => {
                    let at = usize::from(byte) % (body.len() + 1);
                    body.insert(at, byte);
                }
                2 => body.truncate(usize::from(byte)),
                3 => body.resize(70_000, b' '),
                _ => {}
            }
            body
        })
        .boxed()
}

fn content_types() -> BoxedStrategy<Option<&'static str>> {
    let others = vec![
        None,
        Some("text/plain"),
        Some("application/json; charset=utf-16"),
        Some("application/problem+json"),
        Some("json"),
        Some(""),
    ];
    prop_oneof![14 => Just(Some("application/json")), 1 => select(others)].boxed()
}

fn header_values(valid: BoxedStrategy<String>) -> BoxedStrategy<Vec<u8>> {
    prop_oneof![
        12 => valid.prop_map(String::into_bytes),
        1 => texts().prop_map(String::into_bytes),
        1 => vec(any::<u8>(), 0..30),
        1 => "\"?[!-~]{0,210}\"?".prop_map(String::into_bytes),
    ]
    .boxed()
}

struct Endpoint {
    admin: bool,
    method: Method,
    address: BoxedStrategy<String>,
    header: Option<(HeaderName, BoxedStrategy<Vec<u8>>)>,
    body: Option<BoxedStrategy<String>>,
}

impl Endpoint {
    fn new(method: Method, address: impl Strategy<Value = String> + 'static) -> Self {
        Self {
            admin: false,
            method,
            address: address.boxed(),
            header: None,
            body: None,
        }
    }

    fn admin(self) -> Self {
        Self {
            admin: true,
            ..self
        }
    }

    fn header(self, name: HeaderName, valid: impl Strategy<Value = String> + 'static) -> Self {
        let header = Some((name, header_values(valid.boxed())));
        Self { header, ..self }
    }

    fn body(self, json: BoxedStrategy<String>) -> Self {
        let body = Some(json);
        Self { body, ..self }
    }

    fn requests(self) -> BoxedStrategy<Sent> {
        let Self { admin, method, .. } = self;
        let body = self.body.map_or_else(|| Just(Vec::new()).boxed(), bodies);
        let header = match self.header {
            Some((name, values)) => option::weighted(0.8, values)
                .prop_map(move |value| value.map(|value| (name.clone(), value)))
                .boxed(),
            None => Just(None).boxed(),
        };
        let parts = (self.address, content_types(), header, body);
        parts
            .prop_map(move |(address, content_type, header, body)| Sent {
                admin,
                method: method.clone(),
                address,
                content_type,
                header,
                body,
            })
            .boxed()
    }
}

fn post(path: &str) -> Endpoint {
    Endpoint::new(Method::POST, Just(format!("{MARKETPLACE}{path}")))
}

fn of_id(kind: &'static str, known: &'static str, step: &'static str) -> Endpoint {
    let id = any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string());
    let id = prop_oneof![3 => Just(known.to_owned()), 1 => encoded(near(id.boxed()))];
    let address = id.prop_map(move |id| format!("{MARKETPLACE}/{kind}/{id}/{step}"));
    Endpoint::new(Method::POST, address)
}

fn of_sku(method: Method, kind: &'static str, step: &'static str) -> Endpoint {
    let address = encoded(skus());
    let address = address.prop_map(move |sku| format!("{MARKETPLACE}/{kind}/{sku}{step}"));
    Endpoint::new(method, address)
}

pub fn cart_item() -> BoxedStrategy<Sent> {
    let item = object(vec![
        ("sku", member(text_of(skus()))),
        ("quantity", member(small(3))),
        (
            "version",
            member(prop_oneof![Just("null".to_owned()), small(3)]),
        ),
    ]);
    post("/cart/items").body(item).requests()
}

pub fn cart_path() -> BoxedStrategy<Sent> {
    of_sku(Method::DELETE, "cart/items", "").requests()
}

/// A cart is put together in the same test, so that some are bought.
pub fn checkout() -> BoxedStrategy<Sent> {
    let text = || member(text_of(near("[A-Za-zé ]{1,200}")));
    let address = object(vec![
        ("name", text()),
        ("street", text()),
        ("city", text()),
        ("postal_code", member(text_of(near("[0-9]{2,12}")))),
        ("country", member(text_of(near("[A-Z]{2}")))),
        ("phone", member(text_of(near("[0-9+]{5,30}")))),
    ]);
    let good = r#"{"name":"Ana","street":"Reforma 1","city":"Oaxaca","postal_code":"68000","country":"MX"}"#;
    let address = prop_oneof![address, Just(good.to_owned())].boxed();
    let id = any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string());
    let body = object(vec![
        ("shipping_address", address),
        (
            "reservation",
            member(prop_oneof![Just("null".to_owned()), text_of(id)]),
        ),
    ]);
    let checkout = post("/checkout").header(KEY, "[!-~]{1,200}").body(body);
    prop_oneof![checkout.requests(), cart_item()].boxed()
}

pub fn reserve() -> BoxedStrategy<Sent> {
    let body = object(vec![("seconds", member(small(3_600)))]);
    let reserve = post("/reservations").body(body);
    prop_oneof![reserve.requests(), cart_item()].boxed()
}

pub fn extend() -> BoxedStrategy<Sent> {
    let body = object(vec![("seconds", member(small(3_600)))]);
    let extend = of_id("reservations", RESERVATION, "extend").body(body);
    extend.admin().requests()
}

pub fn cancel() -> BoxedStrategy<Sent> {
    let body = object(vec![("reason", member(text_of(near("[a-z ]{1,500}"))))]);
    let cancel = of_id("orders", ORDER, "cancel").body(body);
    cancel.admin().requests()
}

pub fn product() -> BoxedStrategy<Sent> {
    let price = object(vec![
        ("minor", member(small(1_000))),
        ("currency", member(Just("\"MXN\"".to_owned()))),
    ]);
    let good = Just(r#"{"minor":500,"currency":"MXN"}"#.to_owned());
    let name = prop_oneof![
        Just("\"Clay pot\"".to_owned()),
        text_of(near("[A-Za-zé ]{1,500}"))
    ];
    let body = object(vec![
        ("name", member(name)),
        ("price", prop_oneof![good, price].boxed()),
    ]);
    let tags = prop_oneof![9 => Just("*".to_owned()), 2 => "\"[1-9][0-9]?(-[0-9]{1,3})?\"", 1 => "(W/)?\"[!-~]{0,5}\"(, \"[0-9]\")?"];
    let change = of_sku(Method::PUT, "products", "").header(header::IF_MATCH, tags);
    change.body(body).admin().requests()
}

pub fn adjustment() -> BoxedStrategy<Sent> {
    let body = object(vec![
        ("delta", member(small(100))),
        ("reason", member(text_of(near("[a-z ]{1,500}")))),
    ]);
    let id = any::<u128>().prop_map(|id| Uuid::from_u128(id).to_string());
    let adjust = of_sku(Method::POST, "products", "/stock").header(KEY, id);
    adjust.body(body).admin().requests()
}

fn query(
    address: &'static str,
    name: &'static str,
    value: BoxedStrategy<String>,
) -> BoxedStrategy<String> {
    let names = prop_oneof![8 => Just(name.to_owned()), 1 => encoded(texts())];
    let pairs = vec((names, encoded(value)), 0..3);
    pairs
        .prop_map(move |pairs| {
            let pairs: Vec<_> = pairs
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("{address}{}", pairs.join("&"))
        })
        .boxed()
}

pub fn product_list() -> BoxedStrategy<Sent> {
    let limit = query(
        "/api/marketplace/products?",
        "limit",
        prop_oneof![small(100), near("[0-9]{1,3}")].boxed(),
    );
    let after = query("/api/marketplace/products?", "after", skus());
    Endpoint::new(Method::GET, prop_oneof![limit, after]).requests()
}

pub fn product_path() -> BoxedStrategy<Sent> {
    let tags = "(W/)?\"[0-9]{1,2}-[0-9]{1,2}\"(, ?\"[!-~]{0,5}\")?";
    of_sku(Method::GET, "products", "")
        .header(header::IF_NONE_MATCH, tags)
        .requests()
}

pub fn report() -> BoxedStrategy<Sent> {
    let hours = prop_oneof![small(168), near("[0-9]{1,3}")];
    Endpoint::new(Method::GET, query("/api/report?", "hours", hours.boxed()))
        .admin()
        .requests()
}

/// Most races that are possible have one buyer, so that they end soon.
pub fn race() -> BoxedStrategy<Sent> {
    let buyers = prop_oneof![8 => json::values(), 1 => Just("1".to_owned())];
    let body = object(vec![
        ("units", Just("0".to_owned()).boxed()),
        ("buyers", buyers.boxed()),
    ]);
    Endpoint::new(Method::POST, Just("/api/race".to_owned()))
        .body(body)
        .admin()
        .requests()
}
