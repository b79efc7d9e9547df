//! The precondition that an HTTP client states in the header `If-Match`.

use std::{fmt, str::FromStr};

use crate::{Class, Classify, Version};

/// The versions in an `If-Match` header (RFC 9110, section 13.1.1): the request may be executed only if
/// the resource is at one of them.
///
/// For a conditional write, read the row, [`check`](Self::check) its version, and update the row that was
/// read. The update compares the version that was read, so that a write between the two steps is a conflict
/// and not a lost update.
///
/// ```
/// use optilock::{IfMatch, PreconditionFailed, Version};
/// # struct Row { version: Version }
/// # fn read() -> Row { Row { version: Version::new(6).unwrap() } }
/// # fn update(_: Row) {}
///
/// fn write(if_match: &IfMatch) -> Result<(), PreconditionFailed> {
///     let row = read();
///     if_match.check(row.version)?;
///     Ok(update(row)) // at `row.version` and no other
/// }
///
/// let if_match: IfMatch = "\"5\"".parse()?;
/// let failed = write(&if_match).unwrap_err();
/// assert_eq!(failed.to_string(), "precondition failed: expected version 5, found 6");
/// assert_eq!(failed.http_status(), 412);
/// # Ok::<(), optilock::ParseIfMatchError>(())
/// ```
///
/// Tags compare strongly. A weak tag (`W/"5"`), and a tag that is not one of [`Version::etag`], are valid and
/// match nothing: a header with no other tag always fails. The guide has a page on HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IfMatch {
    /// `*`: any version, provided that the resource exists.
    Any,
    /// One of these versions. Empty if the header has only tags that match nothing.
    Versions(Vec<Version>),
}

impl IfMatch {
    /// Checks the version of the row that was read.
    ///
    /// Then write the row at this version: a write at *any* version could be a lost update.
    ///
    /// # Errors
    ///
    /// [`PreconditionFailed`] if the header neither names `current` nor is `*`.
    pub fn check(&self, current: Version) -> Result<(), PreconditionFailed> {
        match self {
            Self::Versions(named) if !named.contains(&current) => Err(PreconditionFailed {
                current,
                named: named.clone(),
            }),
            Self::Any | Self::Versions(_) => Ok(()),
        }
    }
}

/// The error of a request whose [`IfMatch`] does not name the current version. Nothing was written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PreconditionFailed {
    /// The current version of the resource.
    pub current: Version,
    /// The versions in the header. Empty if it has only tags that match nothing.
    pub named: Vec<Version>,
}

impl PreconditionFailed {
    /// Returns the HTTP status: 412 Precondition Failed.
    #[must_use]
    pub const fn http_status(&self) -> u16 {
        412
    }

    /// Returns a stable name in kebab case: `precondition-failed`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "precondition-failed"
    }
}

impl fmt::Display for PreconditionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("precondition failed: ")?;
        if self.named.is_empty() {
            f.write_str("no tag in If-Match names a version")?;
        }
        for (nth, version) in self.named.iter().enumerate() {
            f.write_str(if nth == 0 {
                "expected version "
            } else {
                " or "
            })?;
            write!(f, "{version}")?;
        }
        write!(f, ", found {}", self.current)
    }
}

impl std::error::Error for PreconditionFailed {}

/// Permanent: the client has to read the resource again and decide again.
impl Classify for PreconditionFailed {
    fn class(&self) -> Class {
        Class::Permanent
    }
}

/// Reads the header's value: `*`, or up to 100 entity tags that are separated by commas.
impl FromStr for IfMatch {
    type Err = ParseIfMatchError;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let value = value.trim_matches(is_space);
        if value == "*" {
            return Ok(Self::Any);
        }
        let (mut rest, mut tags, mut versions) = (value, 0, Vec::new());
        while !rest.is_empty() {
            // Empty elements of a list are ignored (section 5.6.1).
            if let Some(after) = rest.strip_prefix(|it| it == ',' || is_space(it)) {
                rest = after;
                continue;
            }
            let (tag, after) = split_tag(rest).ok_or(ParseIfMatchError(()))?;
            tags += 1;
            if tags > MAX_TAGS {
                return Err(ParseIfMatchError(()));
            }
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

/// A client names the versions that it has. A longer list costs more time than a request should.
const MAX_TAGS: usize = 100;

const fn is_space(it: char) -> bool {
    matches!(it, ' ' | '\t')
}

/// Splits off the first entity tag, weak or strong, with its quotes.
fn split_tag(text: &str) -> Option<(&str, &str)> {
    let opaque = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?;
    let end = text.len() - opaque.len() + opaque.find('"')?;
    let (tag, rest) = text.split_at(end + 1);
    let valid = |it: char| it == '"' || it == '!' || it >= '#' && it != '\u{7f}';
    let valid = tag.trim_start_matches("W/").chars().all(valid);
    valid.then_some((tag, rest))
}

/// The error of a header value that is neither `*` nor a list of up to 100 entity tags: 400 Bad Request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an If-Match header: expected * or up to 100 quoted entity tags, such as \"5\"")]
pub struct ParseIfMatchError(());
