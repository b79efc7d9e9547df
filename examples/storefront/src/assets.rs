//! The pages and their files, which are built into the program.

use axum::{
    http::header,
    response::{Html, IntoResponse, Response},
};

use crate::{body::Path, problem::Problem};

/// Name, media type and content of the files of a folder.
macro_rules! assets {
    ($($name:literal: $media_type:literal),* $(,)?) => {
        &[$(($name, $media_type, include_str!(concat!("web/", $name)))),*]
    };
}

/// The files below `/assets/`.
const ASSETS: &[(&str, &str, &str)] = assets! {
    "add_form.js": "text/javascript",
    "api.js": "text/javascript",
    "attempt.js": "text/javascript",
    "backoff.js": "text/javascript",
    "base.css": "text/css",
    "cart.css": "text/css",
    "cart.js": "text/javascript",
    "cart_bar.css": "text/css",
    "cart_bar.js": "text/javascript",
    "catalogue.js": "text/javascript",
    "charts.js": "text/javascript",
    "checkout.js": "text/javascript",
    "confirmation.js": "text/javascript",
    "connection.js": "text/javascript",
    "controls.css": "text/css",
    "countdown.js": "text/javascript",
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "dom.js": "text/javascript",
    "english.js": "text/javascript",
    "failures.js": "text/javascript",
    "formats.js": "text/javascript",
    "frame.css": "text/css",
    "kpis.js": "text/javascript",
    "language.js": "text/javascript",
    "message.css": "text/css",
    "message.js": "text/javascript",
    "my_orders.js": "text/javascript",
    "orders.css": "text/css",
    "orders.js": "text/javascript",
    "payment.js": "text/javascript",
    "pictures.js": "text/javascript",
    "product_page.css": "text/css",
    "product_page.js": "text/javascript",
    "products.css": "text/css",
    "products.js": "text/javascript",
    "quantity.js": "text/javascript",
    "queue.js": "text/javascript",
    "race.css": "text/css",
    "race.js": "text/javascript",
    "server_time.js": "text/javascript",
    "settings.js": "text/javascript",
    "shop.js": "text/javascript",
    "spanish.js": "text/javascript",
    "stock.js": "text/javascript",
    "theme.js": "text/javascript",
    "words.js": "text/javascript",
};

pub(crate) async fn shop() -> Html<&'static str> {
    Html(include_str!("web/index.html"))
}

pub(crate) async fn dashboard() -> Html<&'static str> {
    Html(include_str!("web/dashboard.html"))
}

pub(crate) async fn asset(Path(file): Path<String>) -> Result<Response, Problem> {
    let found = ASSETS.iter().find(|(name, ..)| *name == file);
    let (_, media_type, content) =
        found.ok_or_else(|| Problem::not_found("No file has this name."))?;
    let headers = [
        (header::CONTENT_TYPE, format!("{media_type}; charset=utf-8")),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    Ok((headers, *content).into_response())
}

pub(crate) async fn openapi() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, include_str!("openapi.json")).into_response()
}
