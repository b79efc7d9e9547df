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
    "api.js": "text/javascript",
    "attempt.js": "text/javascript",
    "base.css": "text/css",
    "cart.css": "text/css",
    "cart.js": "text/javascript",
    "charts.js": "text/javascript",
    "checkout.js": "text/javascript",
    "controls.css": "text/css",
    "dashboard.css": "text/css",
    "dashboard.js": "text/javascript",
    "dom.js": "text/javascript",
    "failures.js": "text/javascript",
    "frame.css": "text/css",
    "message.js": "text/javascript",
    "orders.css": "text/css",
    "orders.js": "text/javascript",
    "pictures.js": "text/javascript",
    "products.css": "text/css",
    "products.js": "text/javascript",
    "race.css": "text/css",
    "race.js": "text/javascript",
    "shop.js": "text/javascript",
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
