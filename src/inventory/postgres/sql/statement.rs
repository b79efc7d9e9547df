//! The text of a statement, rendered from its file at compile time.

/// A statement of the inventory, for tests that read all of them.
#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) name: &'static str,
    pub(crate) text: &'static str,
    /// The file, with its comments.
    #[cfg(test)]
    pub(crate) source: &'static str,
    #[cfg(test)]
    pub(crate) slots: &'static [(&'static str, &'static str)],
}

/// Defines constants with the texts of statements, and `ALL` with all of them. The text of a statement is that
/// of its file without the comments, as `pg_stat_activity` keeps only the first kilobyte of a query. A variant
/// replaces slots of the file; a slot that the file does not have is an error of the compiler. A slot that ends
/// with `{ */` is a part of the file: it extends to the next `/* } */`.
macro_rules! statements {
    ($(
        $(#[$meta:meta])*
        $vis:vis const $name:ident = $file:literal
            $({ $($slot:expr => $replacement:expr),+ $(,)? })?;
    )+) => {
        $(
            $(#[$meta])*
            $vis const $name: &str = {
                const SOURCE: &str = include_str!($file);
                const SLOTS: &[(&str, &str)] = &[$($(($slot, $replacement)),+)?];
                const LENGTH: usize = $crate::inventory::postgres::sql::statement::render::<0>(SOURCE, SLOTS).1;
                const TEXT: [u8; LENGTH] = $crate::inventory::postgres::sql::statement::render(SOURCE, SLOTS).0;
                $crate::inventory::postgres::sql::statement::as_str(&TEXT)
            };
        )+

        pub(crate) const ALL: &[$crate::inventory::postgres::sql::statement::Statement] = &[$(
            $crate::inventory::postgres::sql::statement::Statement {
                name: stringify!($name),
                text: $name,
                #[cfg(test)]
                source: include_str!($file),
                #[cfg(test)]
                slots: &[$($(($slot, $replacement)),+)?],
            }
        ),+];
    };
}
pub(crate) use statements;

/// Returns the first `N` bytes of the text and the length of all of it. Knows the SQL of this crate's files:
/// no nested comments, no dollar quotes, no escapes in strings, a `;` at the end only.
pub(crate) const fn render<const N: usize>(
    source: &str,
    slots: &[(&str, &str)],
) -> ([u8; N], usize) {
    let mut out = Output {
        bytes: [0; N],
        length: 0,
    };
    let source = source.as_bytes();
    let mut end = source.len();
    while end > 0 && (source[end - 1].is_ascii_whitespace() || source[end - 1] == b';') {
        end -= 1;
    }
    let (source, _) = source.split_at(end);
    let mut found = 0_u64;
    let mut quote = None;
    let mut at = 0;
    while at < source.len() {
        if quote.is_none() {
            if let Some(slot) = slot_at(source, at, slots) {
                found |= 1 << slot;
                out.push_all(slots[slot].1.as_bytes());
                at = slot_end(source, at, slots[slot].0.as_bytes());
                continue;
            }
            if let Some(end) = comment_end(source, at) {
                out.push(b' ');
                at = end;
                continue;
            }
        }
        let byte = source[at];
        quote = match quote {
            None if byte == b'\'' || byte == b'"' => Some(byte),
            Some(open) if byte == open => None,
            other => other,
        };
        out.push(byte);
        at += 1;
    }
    assert!(
        found == (1 << slots.len()) - 1,
        "a slot of a variant is not in its file"
    );
    (out.bytes, out.length)
}

struct Output<const N: usize> {
    bytes: [u8; N],
    length: usize,
}

impl<const N: usize> Output<N> {
    /// Appends a byte, without white space at the beginning.
    const fn push(&mut self, byte: u8) {
        if self.length == 0 && byte.is_ascii_whitespace() {
            return;
        }
        if self.length < N {
            self.bytes[self.length] = byte;
        }
        self.length += 1;
    }

    /// Appends a text without its comments.
    const fn push_all(&mut self, text: &[u8]) {
        let mut at = 0;
        while at < text.len() {
            if let Some(end) = comment_end(text, at) {
                self.push(b' ');
                at = end;
            } else {
                self.push(text[at]);
                at += 1;
            }
        }
    }
}

const fn slot_at(source: &[u8], at: usize, slots: &[(&str, &str)]) -> Option<usize> {
    let mut slot = 0;
    while slot < slots.len() {
        if starts_with(source, at, slots[slot].0.as_bytes()) {
            return Some(slot);
        }
        slot += 1;
    }
    None
}

/// Returns where the slot that begins here ends.
const fn slot_end(source: &[u8], at: usize, slot: &[u8]) -> usize {
    let end = at + slot.len();
    if !starts_with(source, end - 4, b"{ */") {
        return end;
    }
    let mut end = end;
    while !starts_with(source, end, b"/* } */") {
        assert!(end < source.len(), "a part of a statement does not end");
        end += 1;
    }
    end + b"/* } */".len()
}

/// Returns where a comment that begins here ends: before its newline if it begins with `--`.
const fn comment_end(source: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    if starts_with(source, at, b"--") {
        while end < source.len() && source[end] != b'\n' {
            end += 1;
        }
        Some(end)
    } else if starts_with(source, at, b"/*") {
        while !starts_with(source, end, b"*/") {
            assert!(end < source.len(), "a comment does not end");
            end += 1;
        }
        Some(end + 2)
    } else {
        None
    }
}

const fn starts_with(source: &[u8], at: usize, text: &[u8]) -> bool {
    if source.len() - at < text.len() {
        return false;
    }
    let mut index = 0;
    while index < text.len() {
        if source[at + index] != text[index] {
            return false;
        }
        index += 1;
    }
    true
}

pub(crate) const fn as_str(text: &[u8]) -> &str {
    match str::from_utf8(text) {
        Ok(text) => text,
        Err(_) => panic!("a statement is not UTF-8"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(source: &str, slots: &[(&str, &str)]) -> String {
        let (bytes, length) = render::<200>(source, slots);
        as_str(&bytes[..length]).to_owned()
    }

    #[test]
    fn comments_are_left_out() {
        let source = "-- It's a header.\n--\nSELECT '-- text /* text */', 1 /* one */::smallint;\n";
        let text = "SELECT '-- text /* text */', 1  ::smallint";
        assert_eq!(rendered(source, &[]), text);
        assert_eq!(render::<0>(source, &[]).1, text.len());
    }

    #[test]
    fn slots_are_replaced_everywhere() {
        let source = "SELECT a /* a */, a /* a */ + 1 FROM t /* lock: wait */;";
        let slots = [
            ("a /* a */", "b /* b */"),
            ("/* lock: wait */", "SKIP LOCKED"),
        ];
        assert_eq!(
            rendered(source, &slots),
            "SELECT b  , b   + 1 FROM t SKIP LOCKED"
        );
    }

    #[test]
    fn a_part_is_replaced_as_a_whole() {
        let source = "SELECT a /* more { */, b, 'c' /* } */ FROM t /* more { */, u /* } */ WHERE x";
        assert_eq!(
            rendered(source, &[]),
            "SELECT a  , b, 'c'   FROM t  , u   WHERE x"
        );
        assert_eq!(
            rendered(source, &[("/* more { */", "")]),
            "SELECT a  FROM t  WHERE x"
        );
    }

    #[test]
    #[should_panic(expected = "a slot of a variant is not in its file")]
    fn a_slot_that_is_not_in_the_file_is_refused() {
        let _ = render::<0>("SELECT 1", &[("/* lock: wait */", "SKIP LOCKED")]);
    }
}
