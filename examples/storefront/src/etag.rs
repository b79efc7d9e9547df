//! The header `If-None-Match`: what the client has already.

use axum::http::{HeaderMap, header};

/// Returns whether the client has the content of this tag. Tags are compared weakly: a proxy that compresses turns a
/// strong one into a weak one.
pub(crate) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let known = known.filter_map(|value| value.to_str().ok());
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let mut known = known.flat_map(|tags| tags.split(',')).map(opaque);
    let tag = opaque(tag);
    known.any(|known| known == tag || known == "*")
}
