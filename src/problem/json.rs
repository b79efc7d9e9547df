use std::fmt::{self, Display, Write};

/// A JSON object that is being written: its members, separated by commas.
///
/// Names are constants of the crate and need no escape.
#[derive(Debug, Default)]
pub(crate) struct Object(String);

impl Object {
    #[must_use]
    pub(crate) fn text(mut self, name: &'static str, value: &str) -> Self {
        self.name(name);
        self.0.push('"');
        for it in value.chars() {
            match it {
                '"' | '\\' => self.0.extend(['\\', it]),
                // RFC 8259, section 7: no other character needs an escape.
                '\0'..='\u{1f}' => push(&mut self.0, format_args!("\\u{:04x}", u32::from(it))),
                _ => self.0.push(it),
            }
        }
        self.0.push('"');
        self
    }

    #[must_use]
    pub(crate) fn number(mut self, name: &'static str, value: i64) -> Self {
        self.name(name);
        push(&mut self.0, value);
        self
    }

    #[cfg(feature = "inventory")]
    #[must_use]
    pub(crate) fn object(mut self, name: &'static str, value: &Self) -> Self {
        self.name(name);
        push(&mut self.0, value);
        self
    }

    #[cfg(feature = "inventory")]
    #[must_use]
    pub(crate) fn objects(self, name: &'static str, values: &[Self]) -> Self {
        self.list(name, values)
    }

    #[must_use]
    pub(crate) fn numbers(self, name: &'static str, values: &[i64]) -> Self {
        self.list(name, values)
    }

    fn list(mut self, name: &'static str, values: &[impl Display]) -> Self {
        self.name(name);
        self.0.push('[');
        for (nth, value) in values.iter().enumerate() {
            let comma = if nth == 0 { "" } else { "," };
            push(&mut self.0, format_args!("{comma}{value}"));
        }
        self.0.push(']');
        self
    }

    /// Adds the members of another object, which has none of the same name.
    #[must_use]
    pub(crate) fn and(mut self, other: &Self) -> Self {
        if !self.0.is_empty() && !other.0.is_empty() {
            self.0.push(',');
        }
        self.0.push_str(&other.0);
        self
    }

    fn name(&mut self, name: &'static str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        push(&mut self.0, format_args!("{comma}\"{name}\":"));
    }
}

fn push(json: &mut String, value: impl Display) {
    // Writing to a string can't fail.
    let _ = write!(json, "{value}");
}

impl Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}}}", self.0)
    }
}

#[cfg(all(test, feature = "inventory"))]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(object: &Object) -> Value {
        serde_json::from_str(&object.to_string()).expect("JSON")
    }

    #[test]
    fn every_kind_of_member_is_read_back() {
        assert_eq!(read(&Object::default()), json!({}));
        let inner = || Object::default().number("minor", i64::MIN);
        let object = Object::default()
            .text("a", "b")
            .number("c", i64::MAX)
            .object("d", &inner())
            .objects("e", &[inner(), Object::default()])
            .numbers("f", &[1, 2])
            .numbers("g", &[]);
        let expected = json!({
            "a": "b", "c": i64::MAX, "d": { "minor": i64::MIN }, "e": [{ "minor": i64::MIN }, {}], "f": [1, 2], "g": []
        });
        assert_eq!(read(&object), expected);
        let more = Object::default().and(&object).and(&Object::default());
        assert_eq!(read(&more.and(&Object::default().number("h", 1)))["h"], 1);
    }

    #[test]
    fn every_character_is_read_back() {
        let all: String = ('\0'..=char::MAX).collect();
        assert_eq!(read(&Object::default().text("all", &all))["all"], all);
    }
}
