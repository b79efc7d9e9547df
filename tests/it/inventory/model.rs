//! Values, requests and their validation.

mod bad_input;
