//! The answer of an operation of the inventory.

use std::fmt::Write as _;

use optilock::{Class, Classify, inventory::Error};

use super::operations::Completion;

#[derive(Debug)]
pub enum Answer {
    Done,
    /// A clean-up found nothing to do.
    NothingToDo,
    NotDone(Error),
    Unknown(Error),
}

impl Answer {
    pub fn of(result: Result<Completion, Error>) -> Self {
        match result {
            Ok(Completion::Done) => Self::Done,
            Ok(Completion::NothingToDo) => Self::NothingToDo,
            Err(error) if error.is_unknown() => Self::Unknown(error),
            Err(error) => Self::NotDone(error),
        }
    }

    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    pub fn is_refused(&self, code: &str) -> bool {
        matches!(self, Self::NotDone(error) if error.code() == code)
    }

    /// Returns the class of the error; of the last attempt's error if the attempts are exhausted.
    pub fn class(&self) -> Option<Class> {
        match self {
            Self::NotDone(error) if error.exhausted().is_some() => {
                let last = std::error::Error::source(error).unwrap();
                Some(last.downcast_ref::<Box<Error>>().unwrap().class())
            }
            Self::NotDone(error) | Self::Unknown(error) => Some(error.class()),
            Self::Done | Self::NothingToDo => None,
        }
    }

    /// Returns the texts of the error and of its sources.
    pub fn text(&self) -> String {
        let (Self::NotDone(error) | Self::Unknown(error)) = self else {
            return String::new();
        };
        let mut text = error.to_string();
        let mut next = std::error::Error::source(error);
        while let Some(source) = next {
            write!(text, ": {source}").unwrap();
            next = source.source();
        }
        text
    }
}
