//! Texts: near the limits of length, with characters that are rarely tried, and with SQL.

use proptest::{
    collection::vec,
    prelude::{Strategy, any},
    prop_oneof,
    sample::{Index, select},
};

/// Characters and numbers that a parser may read in another way than it was meant.
const PIECES: [&str; 60] = [
    "",
    " ",
    "\t",
    "\n",
    "\r\n",
    "\0",
    "\u{1}",
    "\u{7f}",
    "\u{85}",
    "\u{a0}",
    "\u{ad}",
    "\u{200b}",
    "\u{200d}",
    "\u{202e}",
    "\u{2003}",
    "\u{2028}",
    "\u{feff}",
    "\u{fffd}",
    "\u{ffff}",
    "\u{10ffff}",
    "e\u{301}",
    "é",
    "ñandú",
    "İ",
    "ß",
    "\u{fb01}",
    "🏺",
    "👩\u{200d}👧",
    "字",
    "١٢",
    "0",
    "1",
    "-0",
    "-1",
    "+5",
    "05",
    "5.0",
    "1e3",
    "0x10",
    "1_000",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "99999999999999999999999",
    "NaN",
    "inf",
    "null",
    "true",
    "*",
    "\"5\"",
    "W/\"5\"",
    "\"",
    "W/",
    ",",
    "/",
    "-",
    "MXN",
    "mxn",
    "00000000-0000-0000-0000-000000000007",
    "{00000000-0000-0000-0000-000000000007}",
];

/// Texts that would change a statement which they became part of.
pub const SQL: [&str; 24] = [
    "'; DROP TABLE optilock.products; --",
    "'); DELETE FROM optilock.orders; --",
    "\"; DROP SCHEMA optilock CASCADE; --",
    "' OR '1'='1",
    "1 OR 1=1",
    "' UNION SELECT 1, 2, 3 --",
    "'",
    "''",
    "\"",
    "\"\"",
    "\\",
    "\\'",
    "\\x00",
    "E'\\047'",
    "$1",
    "$9999999999",
    "$$; COMMIT; $$",
    "$tag$",
    "{}",
    "{,\"a\",NULL}",
    "%s %n %%",
    "_%",
    "/* -- */",
    "; ROLLBACK; BEGIN;",
];

fn pieces() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        select(&PIECES[..]).prop_map(str::to_owned),
        select(&SQL[..]).prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
        "[ -~]{1,8}",
    ]
}

/// Texts with a meaning that begins or ends there: pieces, repeated up to the limits of length.
pub fn texts() -> impl Strategy<Value = String> + Clone {
    prop_oneof![
        6 => vec(pieces(), 0..5).prop_map(|pieces| pieces.concat()),
        2 => (pieces(), select(vec![12_usize, 63, 199, 200, 201, 499, 500, 501])).prop_map(
            |(piece, bytes)| piece.repeat(bytes.div_ceil(piece.len().max(1)))
        ),
        2 => (200..=200_usize, -2..=2_isize, any::<bool>()).prop_map(|(most, by, long)| {
            "x".repeat((most + if long { 300 } else { 0 }).saturating_add_signed(by))
        }),
        1 => any::<String>(),
    ]
}

/// Those texts, valid ones, and valid ones with one piece too many, one character less, or one replaced.
pub fn near(
    valid: impl Strategy<Value = String> + Clone + 'static,
) -> impl Strategy<Value = String> {
    let changed = (valid.clone(), any::<Index>(), pieces(), 0..4_u8);
    prop_oneof![
        2 => texts(),
        1 => valid,
        3 => changed.prop_map(|(text, at, piece, how)| {
            let mut characters: Vec<String> = text.chars().map(String::from).collect();
            let at = at.index(characters.len() + 1);
            match (how, at < characters.len()) {
                (0, true) => drop(characters.remove(at)),
                (1, true) => characters[at] = piece,
                (2, true) => characters[at] = characters[at].to_uppercase(),
                _ => characters.insert(at, piece),
            }
            characters.concat()
        }),
    ]
}

/// Texts with SQL in them that every operation accepts.
pub fn hostile() -> impl Strategy<Value = String> + Clone {
    let hostile = (vec(pieces(), 0..3), select(&SQL[..]), vec(pieces(), 0..3));
    hostile.prop_map(|(before, sql, after)| {
        let text = format!("{}{sql}{}", before.concat(), after.concat());
        let text: String = text.chars().filter(|it| !it.is_control()).collect();
        let mut text = text.trim().to_owned();
        while text.len() > 200 {
            text.pop();
        }
        text.trim().to_owned()
    })
}
