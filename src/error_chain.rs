//! The walk through a chain of error sources: the one file that knows the errors of every floor.

use std::{
    any::Any,
    error::Error,
    fmt::{Debug, Display},
    iter::successors,
    sync::Arc,
};

#[cfg(feature = "axum")]
use axum_core::response::{IntoResponse, Response};
#[cfg(feature = "axum")]
use http::StatusCode;

#[cfg(feature = "axum")]
use crate::problem::{Problem, UNKNOWN};
use crate::{
    Class, Classify, Conflict, RetryError,
    retry::{Asking, GaveUp, stand_in},
};

// `E` need not be an `Error`: `anyhow::Error` and boxed errors are none.
impl<E: Debug + Display + 'static> Error for RetryError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        stand_in(self.class()).or_else(|| source_of(&self.error))
    }
}

impl Classify for Box<dyn Error + Send + Sync> {
    fn class(&self) -> Class {
        class_of_chain(&**self)
    }
}

#[cfg(feature = "anyhow")]
#[cfg_attr(docsrs, doc(cfg(feature = "anyhow")))]
impl Classify for anyhow::Error {
    fn class(&self) -> Class {
        class_of_chain(&**self)
    }
}

/// The response of the last error if nothing has happened; else 503 with the code `unknown-outcome`, without
/// `Retry-After`.
#[cfg(feature = "axum")]
#[cfg_attr(docsrs, doc(cfg(feature = "axum")))]
impl<E: IntoResponse + Debug + Display + 'static> IntoResponse for RetryError<E> {
    fn into_response(self) -> Response {
        let mut gave_up = Some(self);
        if let Some(response) = response_of_floor(&mut gave_up) {
            return response;
        }
        match gave_up.map(Self::try_into_inner) {
            Some(Ok(error)) => error.into_response(),
            Some(Err(unknown)) => Problem::unknown(UNKNOWN, &unknown).into_response(),
            None => StatusCode::INTERNAL_SERVER_ERROR.into_response(), // never: nothing took it
        }
    }
}

/// Takes an error of a floor's own, and converts it: the conversion knows a connection that was lost before
/// `COMMIT`, where the error alone says that the outcome is unknown.
#[cfg(feature = "axum")]
fn response_of_floor(gave_up: &mut dyn Any) -> Option<Response> {
    #[cfg(feature = "inventory")]
    if let Some(gave_up) = taken::<RetryError<crate::inventory::Error>>(gave_up) {
        return Some(crate::inventory::Error::from(gave_up).into_response());
    }
    #[cfg(feature = "postgres")]
    if let Some(gave_up) = taken::<RetryError<crate::postgres::Error>>(gave_up) {
        return Some(crate::postgres::Error::from(gave_up).into_response());
    }
    let _ = gave_up;
    None
}

#[cfg(all(feature = "axum", feature = "postgres"))]
fn taken<T: 'static>(value: &mut dyn Any) -> Option<T> {
    value.downcast_mut::<Option<T>>()?.take()
}

/// The class of one error, its sources aside; `None` for a type that this crate does not know.
fn class_of(error: &(dyn Error + 'static)) -> Option<Class> {
    if let Some(GaveUp(class)) = error.downcast_ref() {
        return Some(*class);
    }
    #[cfg(feature = "inventory")]
    if let Some(error) = held::<crate::inventory::Error>(error) {
        return Some(error.class());
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = held::<crate::postgres::Error>(error) {
        return Some(error.class());
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = held::<sqlx::Error>(error) {
        return Some(error.class());
    }
    // Its own source is that of the error inside, which is passed over.
    if let Some(error) = error.downcast_ref::<std::io::Error>() {
        return error.get_ref().map(|inner| class_of_chain(inner));
    }
    held(error).map(Conflict::class)
}

/// An error of this type, also behind a pointer: that has the source of the error inside, which would be
/// passed over.
fn held<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let of_box = || error.downcast_ref::<Box<E>>().map(|error| &**error);
    let of_arc = || error.downcast_ref::<Arc<E>>().map(|error| &**error);
    error.downcast_ref().or_else(of_box).or_else(of_arc)
}

/// The source of an error of any type that this crate knows; `None` for other types.
fn source_of(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    #[cfg(feature = "anyhow")]
    if let Some(error) = error.downcast_ref::<anyhow::Error>() {
        return error.source();
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return error.source();
    }
    #[cfg(feature = "inventory")]
    if let Some(error) = error.downcast_ref::<crate::inventory::Error>() {
        return error.source();
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<crate::postgres::Error>() {
        return error.source();
    }
    #[cfg(feature = "postgres")]
    if let Some(error) = error.downcast_ref::<sqlx::Error>() {
        return error.source();
    }
    error.downcast_ref().and_then(Conflict::source)
}

fn class_of_chain(error: &(dyn Error + 'static)) -> Class {
    let _asking = Asking::begin();
    successors(Some(error), |&error| error.source())
        .find_map(class_of)
        .unwrap_or(Class::Permanent)
}

#[cfg(test)]
mod tests;
