//! The attributes of a point: names from [`crate::semconv`], values as OpenTelemetry types them.

use std::{borrow::Cow, fmt, sync::Arc};

use crate::semconv::Attribute;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum AttributeValue {
    /// One of a fixed vocabulary.
    Static(&'static str),
    /// A text that others hold as well.
    Shared(Arc<str>),
    /// A number: a status code, a port.
    Integer(i64),
    /// A truth.
    Bool(bool),
}

/// Attributes in the order in which they were given, none twice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Vec<(Attribute, AttributeValue)>);

impl Attributes {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Of a few.
    #[must_use]
    pub fn of<V: Into<AttributeValue>>(pairs: impl IntoIterator<Item = (Attribute, V)>) -> Self {
        Self(pairs.into_iter().map(|(attribute, value)| (attribute, value.into())).collect())
    }

    /// Appends one.
    pub fn push(&mut self, attribute: Attribute, value: impl Into<AttributeValue>) {
        self.0.push((attribute, value.into()));
    }

    /// With one more.
    #[must_use]
    pub fn with(&self, attribute: Attribute, value: impl Into<AttributeValue>) -> Self {
        let mut all = Vec::with_capacity(self.0.len() + 1);
        all.extend_from_slice(&self.0);
        all.push((attribute, value.into()));
        Self(all)
    }

    /// Without those that `keep` refuses.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(Attribute) -> bool) -> Self {
        Self(self.0.iter().filter(|(attribute, _)| keep(*attribute)).cloned().collect())
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, attribute: Attribute) -> Option<&AttributeValue> {
        self.0.iter().find(|(own, _)| *own == attribute).map(|(_, value)| value)
    }

    /// All, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Attribute, &AttributeValue)> + Clone {
        self.0.iter().map(|(attribute, value)| (*attribute, value))
    }

    /// How many.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for AttributeValue {
    /// As Prometheus has it: plain.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static(text) => formatter.write_str(text),
            Self::Shared(text) => formatter.write_str(text),
            Self::Integer(value) => write!(formatter, "{value}"),
            Self::Bool(value) => write!(formatter, "{value}"),
        }
    }
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Static(text)
    }
}

impl From<Arc<str>> for AttributeValue {
    fn from(text: Arc<str>) -> Self {
        Self::Shared(text)
    }
}

impl From<&Arc<str>> for AttributeValue {
    fn from(text: &Arc<str>) -> Self {
        Self::Shared(Arc::clone(text))
    }
}

impl From<Cow<'static, str>> for AttributeValue {
    fn from(text: Cow<'static, str>) -> Self {
        match text {
            Cow::Borrowed(text) => Self::Static(text),
            Cow::Owned(text) => Self::Shared(text.into()),
        }
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Shared(text.into())
    }
}

impl From<u16> for AttributeValue {
    fn from(value: u16) -> Self {
        Self::Integer(value.into())
    }
}

impl From<u32> for AttributeValue {
    fn from(value: u32) -> Self {
        Self::Integer(value.into())
    }
}

impl From<bool> for AttributeValue {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}
