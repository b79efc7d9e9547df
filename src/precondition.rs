//! What an HTTP client says of the version that it has: the header `If-Match`.

use std::str::FromStr;

use crate::Version;

/// The versions in an `If-Match` header (RFC 9110, section 13.1.1): on which of them the client's
/// request may be done.
///
/// ```
/// use optilock::{IfMatch, Version};
///
/// let held: IfMatch = "\"5\"".parse()?;
/// assert_eq!(held.expected(), Version::new(5));
/// assert!(!held.allows(Version::new(6).unwrap())); // 412 Precondition Failed
/// # Ok::<(), optilock::ParseIfMatchError>(())
/// ```
///
/// Tags compare strongly: weak ones (`W/"5"`), and those that no [`Version::etag`] made, are read and
/// match nothing. The guide has a page on HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: whatever version there is, as long as there is one.
    Any,
    /// One of these. None, if the client named only tags that match nothing.
    Versions(Vec<Version>),
}

impl IfMatch {
    /// Whether the request may be done when the resource is at `current`.
    #[must_use]
    pub fn allows(&self, current: Version) -> bool {
        match self {
            Self::Any => true,
            Self::Versions(versions) => versions.contains(&current),
        }
    }

    /// The one version that is to be compared and set, if the client named exactly one.
    #[must_use]
    pub fn expected(&self) -> Option<Version> {
        match self {
            Self::Versions(versions) => match versions.as_slice() {
                [only] => Some(*only),
                _ => None,
            },
            Self::Any => None,
        }
    }
}

/// Reads the header's value: `*`, or entity tags with commas between.
impl FromStr for IfMatch {
    type Err = ParseIfMatchError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let value = value.trim_matches(is_space);
        if value == "*" {
            return Ok(Self::Any);
        }
        let (mut rest, mut tags, mut versions) = (value, 0, Vec::new());
        while !rest.is_empty() {
            // Empty elements of a list are to be ignored (section 5.6.1).
            if let Some(after) = rest.strip_prefix(|it| it == ',' || is_space(it)) {
                rest = after;
                continue;
            }
            let (tag, after) = split_tag(rest).ok_or(ParseIfMatchError(()))?;
            tags += 1;
            if let Some(version) = Version::from_etag(tag)
                && !versions.contains(&version)
            {
                versions.push(version);
            }
            rest = after.trim_start_matches(is_space);
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(ParseIfMatchError(()));
            }
        }
        if tags == 0 {
            return Err(ParseIfMatchError(()));
        }
        Ok(Self::Versions(versions))
    }
}

const fn is_space(it: char) -> bool {
    matches!(it, ' ' | '\t')
}

/// The entity tag at the beginning, weak or strong, with its quotes; and what follows.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let end = text.len() - opaque.len() + opaque.find('"')?;
    let (tag, rest) = text.split_at(end + 1);
    let valid = |it: char| it == '"' || it == '!' || it >= '#' && it != '\u{7f}';
    let valid = tag.trim_start_matches("W/").chars().all(valid);
    valid.then_some((tag, rest))
}

/// A header value that is neither `*` nor a list of entity tags: 400 Bad Request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an If-Match header: expected * or quoted entity tags, such as \"5\"")]
pub struct ParseIfMatchError(());

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn versions(of: &[i64]) -> IfMatch {
        IfMatch::Versions(of.iter().map(|&it| Version::new(it).unwrap()).collect())
    }

    #[test]
    fn what_clients_send() {
        for (value, expected) in [
            ("*", IfMatch::Any),
            (" * ", IfMatch::Any),
            ("\"5\"", versions(&[5])),
            ("\"5\", \"7\"", versions(&[5, 7])),
            ("\"5\",\t\"7\" ,\"5\"", versions(&[5, 7])),
            (", \"5\",,", versions(&[5])),
            ("W/\"5\"", versions(&[])),
            ("W/\"5\", \"6\"", versions(&[6])),
            (
                "\"abc\", \"\", \"05\", \"5 \"".replace("5 ", "5!").as_str(),
                versions(&[]),
            ),
            ("\"a,b\", \"8\"", versions(&[8])),
        ] {
            assert_eq!(value.parse(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_is_malformed() {
        for value in [
            "",
            " ",
            ",",
            "5",
            "\"5",
            "5\"",
            "\"5\" \"6\"",
            "*, \"5\"",
            "w/\"5\"",
            "\"5\";",
            "\"a b\"",
            "\"\u{7f}\"",
        ] {
            assert_eq!(
                value.parse::<IfMatch>(),
                Err(ParseIfMatchError(())),
                "{value:?}"
            );
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(value in "\\PC{0,20}") {
            let _ = value.parse::<IfMatch>();
        }

        #[test]
        fn what_etag_writes_is_read(of in proptest::collection::vec(1..=i64::MAX, 1..5)) {
            let tags: Vec<String> = of.iter().map(|&it| Version::new(it).unwrap().etag()).collect();
            let read: IfMatch = tags.join(", ").parse().unwrap();
            for version in of {
                prop_assert!(read.allows(Version::new(version).unwrap()));
            }
        }
    }
}
