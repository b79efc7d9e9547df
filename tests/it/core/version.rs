//! Versions as numbers, texts, entity tags and JSON.

use optilock::{Conflict, Version};
use proptest::prelude::*;

fn version(value: i64) -> Version {
    Version::new(value).unwrap()
}

#[test]
fn versions_run_from_zero_to_the_largest_bigint() {
    assert_eq!((Version::ZERO.get(), Version::FIRST.get()), (0, 1));
    assert_eq!(Version::new(0), Some(Version::ZERO));
    assert_eq!(Version::ZERO.next(), Some(Version::FIRST));
    assert_eq!(Version::new(-1), None);
    assert_eq!(Version::new(i64::MIN), None);
    assert_eq!(Version::FIRST.next(), Version::new(2));
    assert_eq!(version(i64::MAX).next(), None);
    assert_eq!(size_of::<Option<Version>>(), size_of::<i64>());
}

#[test]
fn versions_are_ordered_by_their_numbers() {
    let mut versions = [version(i64::MAX), version(2), Version::ZERO, version(7)];
    versions.sort();
    assert_eq!(versions.map(Version::get), [0, 2, 7, i64::MAX]);
    assert!(Version::ZERO < Version::FIRST);
}

#[test]
fn a_version_displays_its_number() {
    assert_eq!(version(5).to_string(), "5");
    assert_eq!(format!("{:>3}", version(5)), "  5");
    assert_eq!(format!("{:?}", version(5)), "Version(5)");
}

#[test]
fn other_spellings_are_refused() {
    let refused = [
        "",
        "00",
        "05",
        "+5",
        "-5",
        " 5",
        "5 ",
        "5.0",
        "0x5",
        "five",
        "٥",
        "5_0",
        "9223372036854775808",
        "\"5\"",
    ];
    for text in refused {
        let error = text.parse::<Version>().unwrap_err();
        assert!(error.to_string().starts_with("not a version"), "{text}");
        assert_eq!(Version::from_etag(&format!("\"{text}\"")), None, "{text}");
    }
    assert_eq!("9223372036854775807".parse(), Ok(version(i64::MAX)));
    assert_eq!("0".parse(), Ok(Version::ZERO));
}

#[test]
fn only_strong_tags_are_accepted() {
    for tag in [
        "W/\"5\"",
        "w/\"5\"",
        "5",
        "\"5",
        "5\"",
        "\"",
        "\"\"",
        "*",
        " \"5\"",
        "\"5\", \"6\"",
    ] {
        assert_eq!(Version::from_etag(tag), None, "{tag}");
    }
    assert_eq!(Version::from_etag("\"5\""), Some(version(5)));
}

proptest! {
    #[test]
    fn tag_and_text_round_trip(value in 0..=i64::MAX) {
        prop_assert_eq!(Version::from_etag(&version(value).etag()), Some(version(value)));
        prop_assert_eq!(version(value).to_string().parse(), Ok(version(value)));
    }

    #[test]
    fn an_accepted_tag_is_the_canonical_one(tag in "(W/)?\"?[ +0-9]{1,4}\"?") {
        if let Some(version) = Version::from_etag(&tag) {
            prop_assert_eq!(version.etag(), tag);
        }
    }
}

#[test]
fn a_conflict_states_the_row_and_both_versions() {
    let conflict = Conflict::new("product", "mug-7", version(5), version(6));
    assert_eq!(
        conflict.to_string(),
        "product mug-7 moved on: expected version 5, found 6"
    );
    assert_eq!(
        Conflict::new("account", 7_u64, version(1), version(2)).id,
        "7"
    );
}

#[test]
fn serde_writes_a_conflict_as_an_object() {
    let conflict = Conflict::new("product", "mug-7", version(5), version(6));
    assert_eq!(
        serde_json::to_string(&conflict).unwrap(),
        r#"{"entity":"product","id":"mug-7","expected":5,"actual":6}"#
    );
}

#[test]
fn a_version_is_a_number_in_json() {
    assert_eq!(serde_json::to_string(&version(5)).unwrap(), "5");
    assert_eq!(serde_json::from_str::<Version>("5").unwrap(), version(5));
    assert_eq!(serde_json::from_str::<Version>("0").unwrap(), Version::ZERO);
    for json in ["-1", "\"5\"", "null", "5.5", "9223372036854775808"] {
        assert!(serde_json::from_str::<Version>(json).is_err(), "{json}");
    }
    let error = serde_json::from_str::<Version>("-1")
        .unwrap_err()
        .to_string();
    assert!(error.contains("a version, 0 or more"), "{error}");
}
