use std::{any::Any, fmt, sync::Arc};

/// A value of the host's that a checkout carries to the hook. It is not part of the request: all contexts are
/// equal.
#[derive(Clone, Default)]
pub(crate) struct Context(Option<Arc<dyn Any + Send + Sync>>);

impl Context {
    pub(crate) fn of<T: Any + Send + Sync>(value: T) -> Self {
        Self(Some(Arc::new(value)))
    }

    /// Returns the value, if it has this type.
    pub(crate) fn get<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.as_ref()?.downcast_ref()
    }
}

impl PartialEq for Context {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Context {}

/// Shows only whether there is a value, as it may be personal data.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Some(..)" } else { "None" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_returns_its_value_by_type_only() {
        let context = Context::of("Calle 7".to_owned());
        assert_eq!(context.get::<String>().unwrap(), "Calle 7");
        assert_eq!(context.get::<&str>(), None);
        assert_eq!(Context::default().get::<String>(), None);
    }

    #[test]
    fn a_context_is_neither_compared_nor_shown() {
        let context = Context::of("Calle 7");
        assert_eq!(context, Context::default());
        assert_eq!(format!("{context:?}"), "Some(..)");
        assert_eq!(format!("{:?}", Context::default()), "None");
    }
}
