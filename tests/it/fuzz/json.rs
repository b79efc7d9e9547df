//! Texts of JSON: values of other types, numbers beyond a type, escapes, nesting, members that are repeated, missing
//! or unknown.

use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_oneof,
    sample::select,
    strategy::BoxedStrategy,
};

use super::{numbers::numbers, texts::texts};

const VALUES: [&str; 34] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "-0.0",
    "1.0",
    "1e0",
    "1e400",
    "-1e400",
    "1E3",
    "0.1",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "-9223372036854775809",
    "1000000000000000000000000000000",
    "01",
    "+1",
    "NaN",
    "Infinity",
    "\"\"",
    "\"\\u0000\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\ud83c\\udffa\"",
    "\"\\u00e9\"",
    "\"e\\u0301\"",
    "\"\\x\"",
    "[]",
    "{}",
    "[1]",
    "{\"\":{}}",
    "",
];

/// A value as JSON text, or what is no value.
pub fn values() -> BoxedStrategy<String> {
    prop_oneof![
        4 => select(&VALUES[..]).prop_map(str::to_owned),
        2 => texts().prop_map(|text| serde_json::to_string(&text).unwrap()),
        2 => numbers().prop_map(|number| number.to_string()),
        1 => texts(),
        1 => (1..200_usize, any::<bool>()).prop_map(|(depth, array)| match array {
            true => format!("{}{}", "[".repeat(depth), "]".repeat(depth)),
            false => format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)),
        }),
    ]
    .boxed()
}

/// A valid text of a member, or sometimes another value.
pub fn member(valid: impl Strategy<Value = String> + 'static) -> BoxedStrategy<String> {
    prop_oneof![6 => valid, 1 => values()].boxed()
}

/// An object of these members, in order or not, some of them left out, repeated or unknown; or another value.
pub fn object(members: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let names: Vec<&'static str> = members.iter().map(|(name, _)| *name).collect();
    let values_of: Vec<_> = members.into_iter().map(|(_, value)| value).collect();
    let kept = vec(0..30_u8, names.len());
    let all = (values_of, kept, texts(), values(), 0..30_u8);
    let object = all.prop_map(move |(of, kept, name, value, how)| {
        let mut members = Vec::new();
        for ((key, value), kept) in names.iter().zip(&of).zip(kept) {
            if kept > 0 {
                members.push(format!("\"{key}\":{value}"));
            }
        }
        match how {
            0 => members.push(format!("{}:{value}", serde_json::to_string(&name).unwrap())),
            1 => members.extend(members.first().cloned()),
            2 => members.reverse(),
            _ => {}
        }
        let object = format!("{{{}}}", members.join(","));
        match how {
            3 => object[..object.len() - 1].to_owned(),
            4 => format!("[{object}]"),
            5 => format!("{object}{object}"),
            6 => format!("\u{feff}{object}"),
            _ => object,
        }
    });
    prop_oneof![15 => object, 1 => values()].boxed()
}
