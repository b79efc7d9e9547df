//! The countries of ISO 3166-1, with their names in English and Spanish as in the Unicode CLDR.

/// Code, English name, Spanish name.
const TABLE: &str = include_str!("countries.csv");

fn rows() -> impl Iterator<Item = (&'static str, [&'static str; 2])> {
    TABLE.lines().skip(1).filter_map(|row| {
        let mut fields = row.split(',');
        Some((fields.next()?, [fields.next()?, fields.next()?]))
    })
}

/// Returns the code of a country, given its code or its name in English or Spanish, in any case.
pub(crate) fn code_of(text: &str) -> Option<&'static str> {
    let text = text.trim().to_lowercase();
    let is_it = |name: &str| name.to_lowercase() == text;
    let mut rows = rows();
    rows.find(|(code, names)| is_it(code) || names.iter().any(|name| is_it(name)))
        .map(|(code, _)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_country_has_a_code_and_two_names() {
        assert_eq!(rows().count(), 249);
        for text in ["MX", "mx", "México", "MÉXICO", "Mexico ", "mexico"] {
            assert_eq!(code_of(text), Some("MX"), "{text}");
        }
        assert_eq!(code_of("Estados Unidos"), Some("US"));
        for text in ["Atlantis", "ZZ", "code", ""] {
            assert_eq!(code_of(text), None, "{text}");
        }
    }
}
