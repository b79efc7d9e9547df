//! The language of a request, by its `Accept-Language`.

use axum::http::{HeaderMap, header};

/// A language that the shop speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    English,
    Spanish,
}

tokio::task_local! {
    static LANGUAGE: Language;
}

impl Language {
    /// The tag of the language.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Spanish => "es",
        }
    }

    /// Returns the language that the client prefers, or English.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let headers = headers.get_all(header::ACCEPT_LANGUAGE).iter();
        let ranges = headers.filter_map(|value| value.to_str().ok());
        let spoken = ranges
            .flat_map(|ranges| ranges.split(','))
            .filter_map(|range| {
                let (tag, weight) = range.split_once(';').unwrap_or((range, "q=1"));
                let weight = weight.trim().strip_prefix(['q', 'Q'])?.strip_prefix('=')?;
                let quality: f32 = weight.parse().ok()?;
                let primary = tag.trim().split('-').next()?;
                let language = [Self::English, Self::Spanish].into_iter();
                let mut language = language.filter(|it| it.tag().eq_ignore_ascii_case(primary));
                (quality > 0.0).then_some((quality, language.next()?))
            });
        // Of equal qualities the first one counts.
        let best = spoken.reduce(|best, next| if next.0 > best.0 { next } else { best });
        best.map_or(Self::English, |(_, language)| language)
    }

    /// Returns the language of the request that is being answered, or English outside of one.
    pub(crate) fn current() -> Self {
        LANGUAGE.try_with(|language| *language).unwrap_or_default()
    }

    /// Runs `answer` in this language.
    pub(crate) async fn scope<F: Future>(self, answer: F) -> F::Output {
        LANGUAGE.scope(self, answer).await
    }

    /// Returns the text in this language.
    pub(crate) const fn choose(self, english: &'static str, spanish: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Spanish => spanish,
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_preferred_language_is_chosen() {
        for (header, language) in [
            ("", Language::English),
            ("es", Language::Spanish),
            ("es-MX,es;q=0.9,en;q=0.8", Language::Spanish),
            ("en;q=0.8, ES;q=0.9", Language::Spanish),
            ("en, es", Language::English),
            ("de, es;q=0.1", Language::Spanish),
            ("es;q=0, de", Language::English),
            ("en;q=0.1, es; Q=0.9", Language::Spanish),
            ("es;q=much", Language::English),
            ("eso", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, HeaderValue::from_static(header));
            assert_eq!(Language::of(&headers), language, "{header}");
        }
    }
}
