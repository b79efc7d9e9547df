//! The pages and their files. They are built into the program; a debug build reads them from the folder, so that a
//! change shows at the next load.

use axum::{
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::{body::Path, etag, problem::Problem};

#[derive(RustEmbed)]
#[folder = "src/web"]
struct Files;

/// Returns the file, or 304 if the client has this version of it.
fn respond(file: &EmbeddedFile, media_type: &str, headers: &HeaderMap) -> Response {
    let hash = file.metadata.sha256_hash();
    let short: String = hash[..16]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Weak: the file may be compressed on its way.
    let tag = format!("W/\"{short}\"");
    // A browser may keep the response, but must revalidate it.
    let cached = [
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, "no-cache".to_owned()),
    ];
    if etag::is_known(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, cached).into_response();
    }
    let content = [(header::CONTENT_TYPE, format!("{media_type}; charset=utf-8"))];
    (cached, content, file.data.clone()).into_response()
}

fn find(name: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let file = Files::get(name).ok_or_else(|| Problem::not_found("No file has this name."))?;
    let media_type = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        _ => "text/html",
    };
    Ok(respond(&file, media_type, headers))
}

pub(crate) async fn shop(headers: HeaderMap) -> Result<Response, Problem> {
    find("index.html", &headers)
}

pub(crate) async fn dashboard(headers: HeaderMap) -> Result<Response, Problem> {
    find("dashboard.html", &headers)
}

pub(crate) async fn asset(
    Path(file): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    find(&file, &headers)
}

pub(crate) async fn openapi() -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, include_str!("openapi.json")).into_response()
}
