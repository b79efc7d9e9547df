//! What an `If-Match` header may contain, and which versions pass.

use optilock::{Class, Classify, IfMatch, Version};
use proptest::prelude::*;

fn versions(of: &[i64]) -> IfMatch {
    IfMatch::Versions(of.iter().map(|&it| Version::new(it).unwrap()).collect())
}

#[test]
fn headers_of_clients_are_read() {
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
fn malformed_headers_are_refused() {
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
        let error = value.parse::<IfMatch>().unwrap_err();
        assert!(
            error.to_string().starts_with("not an If-Match header"),
            "{value:?}"
        );
    }
}

#[test]
fn only_a_named_version_passes() {
    let (five, six) = (Version::new(5).unwrap(), Version::new(6).unwrap());
    for header in ["*", "\"5\"", "\"4\", \"5\"", "W/\"6\", \"5\""] {
        assert_eq!(header.parse::<IfMatch>().unwrap().check(five), Ok(()));
    }
    for (header, message) in [
        ("\"5\"", "expected version 5, found 6"),
        ("\"5\", \"7\"", "expected version 5 or 7, found 6"),
        ("W/\"6\"", "no tag in If-Match names a version, found 6"),
        ("\"other\"", "no tag in If-Match names a version, found 6"),
    ] {
        let failed = header.parse::<IfMatch>().unwrap().check(six).unwrap_err();
        assert_eq!(
            failed.to_string(),
            format!("precondition failed: {message}")
        );
        assert_eq!(failed.current, six);
        assert_eq!(
            (failed.http_status(), failed.class()),
            (412, Class::Permanent)
        );
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(value in "\\PC{0,20}") {
        let _ = value.parse::<IfMatch>();
    }

    #[test]
    fn a_list_of_etags_is_read(of in proptest::collection::vec(1..=i64::MAX, 1..5)) {
        let tags: Vec<String> = of.iter().map(|&it| Version::new(it).unwrap().etag()).collect();
        let read: IfMatch = tags.join(", ").parse().unwrap();
        for version in of {
            prop_assert_eq!(read.check(Version::new(version).unwrap()), Ok(()));
        }
    }
}

#[test]
fn a_list_has_100_tags_at_most() {
    let list = |tags: i64| {
        (0..tags)
            .map(|tag| format!("\"{tag}\""))
            .collect::<Vec<_>>()
            .join(",")
    };
    let IfMatch::Versions(versions) = list(100).parse().unwrap() else {
        panic!("a list");
    };
    assert_eq!(versions.len(), 100);
    list(101).parse::<IfMatch>().unwrap_err();
}
