//! The address of a delivery.

use serde::{Deserialize, Serialize};

use crate::problem::{FieldError, Problem};

/// A shipping address.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    name: String,
    street: String,
    city: String,
    postal_code: String,
    country: String,
    phone: Option<String>,
}

impl Address {
    /// Checks all fields, so that a form can mark every wrong one at once.
    ///
    /// # Errors
    ///
    /// `invalid`, with an error for each wrong field.
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let texts = [
            ("shipping_address.name", &self.name, 1..=200),
            ("shipping_address.street", &self.street, 1..=200),
            ("shipping_address.city", &self.city, 1..=200),
            ("shipping_address.postal_code", &self.postal_code, 2..=12),
        ];
        let phone = self
            .phone
            .as_ref()
            .map(|phone| ("shipping_address.phone", phone, 5..=30));
        let mut errors = Vec::new();
        for (field, text, length) in texts.into_iter().chain(phone) {
            let characters = text.trim().chars().count();
            let why = if characters == 0 {
                "is empty".to_owned()
            } else if !length.contains(&characters) {
                let (least, most) = length.into_inner();
                format!("has {characters} characters, not {least} to {most}")
            } else if text.chars().any(char::is_control) {
                "holds a control character".to_owned()
            } else {
                continue;
            };
            errors.push(FieldError { field, why });
        }
        let letters = self.country.bytes().all(|byte| byte.is_ascii_uppercase());
        if self.country.len() != 2 || !letters {
            errors.push(FieldError {
                field: "shipping_address.country",
                why: "is not a country code like MX".to_owned(),
            });
        }
        match errors.is_empty() {
            true => Ok(()),
            false => Err(Problem::fields(errors)),
        }
    }
}
