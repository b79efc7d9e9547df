//! The address of a delivery.

use serde::{Deserialize, Serialize};

use crate::{
    countries,
    language::Language,
    problem::{FieldError, Problem},
};

/// A shipping address. The country is a code of ISO 3166-1 once the address is [checked](Self::checked).
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// The recipient; the customer if there is none.
    name: Option<String>,
    street: String,
    city: String,
    state: Option<String>,
    postal_code: String,
    country: String,
    phone: Option<String>,
}

impl Address {
    /// Completes the address of a customer and checks all fields, so that a form can mark every wrong one at once.
    ///
    /// # Errors
    ///
    /// `invalid`, with an error for each wrong field.
    pub(crate) fn checked(mut self, customer: &str) -> Result<Self, Problem> {
        let say = |english, spanish| Language::current().choose(english, spanish);
        self.name.get_or_insert_with(|| customer.to_owned());
        let required = [
            &mut self.street,
            &mut self.city,
            &mut self.postal_code,
            &mut self.country,
        ];
        let others = [&mut self.name, &mut self.state, &mut self.phone];
        for text in required.into_iter().chain(others.into_iter().flatten()) {
            *text = text.trim().to_owned();
        }
        let texts = [
            ("shipping_address.name", self.name.as_ref(), 1..=200),
            ("shipping_address.street", Some(&self.street), 1..=200),
            ("shipping_address.city", Some(&self.city), 1..=200),
            ("shipping_address.state", self.state.as_ref(), 1..=200),
            (
                "shipping_address.postal_code",
                Some(&self.postal_code),
                2..=12,
            ),
            ("shipping_address.phone", self.phone.as_ref(), 5..=30),
        ];
        let texts = texts.into_iter();
        let texts = texts.filter_map(|(field, text, length)| Some((field, text?, length)));
        let mut errors = Vec::new();
        for (field, text, length) in texts {
            let characters = text.chars().count();
            let why = if characters == 0 {
                say("is empty", "está vacío").to_owned()
            } else if !length.contains(&characters) {
                let (least, most) = length.into_inner();
                let (has, not, to) = (
                    say("has", "tiene"),
                    say("not", "y debe tener de"),
                    say("to", "a"),
                );
                let characters = format!("{characters} {}", say("characters", "caracteres"));
                format!("{has} {characters}, {not} {least} {to} {most}")
            } else if text.chars().any(|it| it.is_control() || turns_or_hides(it)) {
                say(
                    "holds an invisible character",
                    "tiene un carácter invisible",
                )
                .to_owned()
            } else if !text.chars().any(char::is_alphanumeric) {
                say(
                    "has no letter and no digit",
                    "no tiene ninguna letra ni cifra",
                )
                .to_owned()
            } else {
                continue;
            };
            errors.push(FieldError { field, why });
        }
        match countries::code_of(&self.country) {
            Some(code) => code.clone_into(&mut self.country),
            None => errors.push(FieldError {
                field: "shipping_address.country",
                why: say(
                    "is neither a country's code, like MX (ISO 3166-1), nor its name in English or Spanish",
                    "no es el código de un país, como MX (ISO 3166-1), ni su nombre en inglés o español",
                )
                .to_owned(),
            }),
        }
        match errors.is_empty() {
            true => Ok(self),
            false => Err(Problem::fields(errors)),
        }
    }
}

/// Returns whether a character changes the direction of the text, or has no width: a label would not show what is stored.
const fn turns_or_hides(it: char) -> bool {
    matches!(it, '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
