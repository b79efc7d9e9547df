//! The field names of a client that writes them in camel case, such as `productId` and `shippingAddress`.
//!
//! Such a request is served by the same endpoints, and its answer has the same names. The guide has the table of all
//! fields, in `front_end.md`.

use std::cell::Cell;

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    http::header,
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::problem::Problem;

/// The fields of requests that have another name there: that of the client, that of the shop.
const FIELDS: [(&str, &str); 3] = [
    ("productId", "sku"),
    ("shippingAddress", "shipping_address"),
    ("zipCode", "postal_code"),
];

/// The largest answer, in bytes.
const ANSWER: usize = 4 * 1_024 * 1_024;

tokio::task_local! {
    /// The request that is being answered has names in camel case.
    static CAMEL: Cell<bool>;
}

/// Renames the fields of a body to those of the shop.
///
/// # Errors
///
/// 422 if a field occurs under both names.
pub(crate) fn to_snake(body: Map<String, Value>) -> Result<Map<String, Value>, Problem> {
    let mut renamed = Map::new();
    for (name, value) in body {
        let (name, is_camel) = match FIELDS.iter().find(|(camel, _)| *camel == name) {
            Some((_, snake)) => ((*snake).to_owned(), true),
            None => (name, false),
        };
        if is_camel {
            // Fails outside of the layer, where no answer is renamed.
            let _ = CAMEL.try_with(|camel| camel.set(true));
        }
        let value = match value {
            Value::Object(inner) => Value::Object(to_snake(inner)?),
            other => other,
        };
        if renamed.insert(name.clone(), value).is_some() {
            let why = format!("{name} is given twice, under two names");
            return Err(Problem::unprocessable(why));
        }
    }
    Ok(renamed)
}

fn camel_of(name: &str) -> String {
    if let Some((theirs, _)) = FIELDS.iter().find(|(_, ours)| *ours == name) {
        return (*theirs).to_owned();
    }
    let mut words = name.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.len().min(1));
        camel.push_str(&first.to_ascii_uppercase());
        camel.push_str(rest);
    }
    camel
}

fn to_camel(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(
            object
                .into_iter()
                .map(|(name, value)| {
                    let value = match (&*name, value) {
                        // The path of a field that is wrong.
                        ("field", Value::String(path)) => Value::String(
                            path.split('.').map(camel_of).collect::<Vec<_>>().join("."),
                        ),
                        (_, value) => to_camel(value),
                    };
                    (camel_of(&name), value)
                })
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(to_camel).collect()),
        other => other,
    }
}

/// Answers a request in the names that it has.
pub(crate) async fn answer(request: Request, next: Next) -> Response {
    let answered = async {
        let response = next.run(request).await;
        (response, CAMEL.with(Cell::get))
    };
    let (response, is_camel) = CAMEL.scope(Cell::new(false), answered).await;
    if is_camel {
        renamed(response).await
    } else {
        response
    }
}

async fn renamed(response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let is_json = |value: &[u8]| value.starts_with(b"application/") && value.ends_with(b"json");
    let media_type = parts.headers.get(header::CONTENT_TYPE);
    if !media_type.is_some_and(|value| is_json(value.as_bytes())) {
        return Response::from_parts(parts, body);
    }
    let body = match to_bytes(body, ANSWER).await {
        Ok(body) => body,
        Err(error) => return Problem::internal(&error).into_response(),
    };
    let body = match serde_json::from_slice(&body) {
        Ok(body) => to_camel(body).to_string(),
        Err(error) => return Problem::internal(&error).into_response(),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_name_comes_back() {
        for (snake, camel) in [
            ("sku", "productId"),
            ("postal_code", "zipCode"),
            ("shipping_address", "shippingAddress"),
            ("quantity", "quantity"),
            ("current_price", "currentPrice"),
        ] {
            assert_eq!(camel_of(snake), camel);
        }
        let answer = json!({ "lines": [{ "sku": "a", "errors": [{ "field": "shipping_address.postal_code" }] }] });
        let renamed = json!({ "lines": [{ "productId": "a", "errors": [{ "field": "shippingAddress.zipCode" }] }] });
        assert_eq!(to_camel(answer), renamed);
    }
}
