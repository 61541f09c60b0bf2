//! Routes as users write them.

use wildmatch::WildMatch;

use super::path::{MAX_SEGMENTS, Segments};

/// Bytes of the longest pattern.
pub const MAX_PATTERN: usize = 512;

/// A route of the user's: `/users/{id}/posts/*`, `/static/**`, or `cart:/users/{id}` for the services whose name
/// matches `cart`, in which `*` and `?` are wildcards.
///
/// Each segment is a literal, or has one placeholder, which stands for at least one byte: `{name}`, `*`, or
/// `:name` at its beginning. What stands beside it is literal, as in `{id}.json`. A final `**` stands for any
/// rest, none included; `{name...}`, `{*name}` and `{**name}` mean the same, as some frameworks write them.
/// Literals are compared with the path as it was sent, byte by byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    service: Option<WildMatch>,
    text: Box<str>,
    segments: Vec<Segment>,
    has_rest: bool,
}

/// A text is no pattern. The message says what would be one, to go on with after "expected".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// No slash at its beginning, or no service before it.
    #[error("a route such as /users/{{id}}, or cart:/users/{{id}} for one service")]
    NoRoute,
    /// It is longer than [`MAX_PATTERN`], or has more segments than [`MAX_SEGMENTS`].
    #[error("a route of at most {MAX_PATTERN} bytes and {MAX_SEGMENTS} segments")]
    TooLong,
    /// A segment that no path has.
    #[error("a path's segment instead of {0:?}: no space, control character, ?, # or ;, and neither . nor ..")]
    NoSegment(String),
    /// A segment with a placeholder that is none, or with two.
    #[error("one placeholder {{name}}, :name or * in the segment {0:?}")]
    Placeholder(String),
    /// A `**` that is not the last segment.
    #[error("** as the last segment alone")]
    RestNotLast,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Literal(Box<str>),
    /// A placeholder, and what stands before and after it.
    Value(Box<str>, Box<str>),
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let (service, text) = split_service(text).ok_or(BadPattern::NoRoute)?;
        let mut given: Vec<_> = text.split('/').filter(|segment| !segment.is_empty()).collect();
        let has_rest = given.pop_if(|last| is_rest(last)).is_some();
        if text.len() > MAX_PATTERN || given.len() > MAX_SEGMENTS {
            return Err(BadPattern::TooLong);
        }
        let segments = given.into_iter().map(Segment::parse).collect::<Result<_, _>>()?;
        Ok(Self { service: service.map(WildMatch::new), text: text.into(), segments, has_rest })
    }

    /// As it was written, without the service: the template.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is for some services only.
    #[must_use]
    pub const fn is_for_some(&self) -> bool {
        self.service.is_some()
    }

    /// Whether it is for the service of this name.
    #[must_use]
    pub fn is_for(&self, service: &str) -> bool {
        self.service.as_ref().is_none_or(|pattern| pattern.matches(service))
    }

    pub(super) fn matches(&self, path: &Segments<'_>) -> bool {
        let given = path.kept();
        let fits =
            if self.has_rest { given.len() >= self.segments.len() } else { given.len() == self.segments.len() };
        fits && (self.has_rest || !path.is_deeper())
            && self.segments.iter().zip(given).all(|(segment, given)| segment.matches(given))
    }
}

impl Segment {
    fn parse(text: &str) -> Result<Self, BadPattern> {
        let foreign = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '?' | '#' | ';');
        if is_rest(text) {
            return Err(BadPattern::RestNotLast);
        }
        if matches!(text, "." | "..") {
            return Err(BadPattern::NoSegment(text.to_owned()));
        }
        let bad = || BadPattern::Placeholder(text.to_owned());
        let (before, after) = if let Some(rest) = text.strip_prefix(':') {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            ("", rest.split_at_checked(end).filter(|_| end > 0).ok_or_else(bad)?.1)
        } else if let Some((before, rest)) = text.split_once('{') {
            let (name, after) = rest.split_once('}').ok_or_else(bad)?;
            if name.is_empty() || name.contains('{') {
                return Err(bad());
            }
            (before, after)
        } else if let Some(parts) = text.split_once('*') {
            parts
        } else {
            (text, "")
        };
        let is_value = (before, after) != (text, "");
        if [before, after].iter().any(|literal| literal.contains(['{', '}', '*'])) {
            return Err(bad());
        }
        if [before, after].iter().any(|literal| literal.contains(foreign)) {
            return Err(BadPattern::NoSegment(text.to_owned()));
        }
        Ok(if is_value { Self::Value(before.into(), after.into()) } else { Self::Literal(before.into()) })
    }

    fn matches(&self, given: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal.as_bytes() == given,
            Self::Value(before, after) => {
                let rest = given.strip_prefix(before.as_bytes());
                rest.and_then(|rest| rest.strip_suffix(after.as_bytes())).is_some_and(|value| !value.is_empty())
            }
        }
    }
}

/// The service and the route; neither may be without the other's separator.
fn split_service(text: &str) -> Option<(Option<&str>, &str)> {
    if text.starts_with('/') {
        return Some((None, text));
    }
    let (service, route) = text.split_at_checked(text.find(":/")?)?;
    (!service.is_empty()).then_some((Some(service), route.get(1..)?))
}

fn is_rest(segment: &str) -> bool {
    let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    segment == "**" || name.is_some_and(|name| name.starts_with('*') || (name.ends_with("...") && name.len() > 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of `paths` a pattern matches.
    fn matching<'a>(pattern: &str, paths: &'a str) -> Vec<&'a str> {
        let pattern = Pattern::parse(pattern).unwrap();
        let matches = |path: &&str| Segments::parse(path.as_bytes()).is_some_and(|path| pattern.matches(&path));
        paths.split(' ').filter(matches).collect()
    }

    #[test]
    fn what_matches() {
        const PATHS: &str = "/ /users /users/ /users/1 /users/1/posts /users/1/posts/2 /users//1;v=2 /users/1.json \
                             /users/.json /users/1:publish /user/1";
        let deep = "/a".repeat(MAX_SEGMENTS + 1);
        for (pattern, expected) in [
            ("/", "/"),
            ("/users", "/users /users/"),
            ("/users/", "/users /users/"),
            ("/users/{id}", "/users/1 /users//1;v=2 /users/1.json /users/.json /users/1:publish"),
            ("/users/:id", "/users/1 /users//1;v=2 /users/1.json /users/.json /users/1:publish"),
            ("/users/{id:[0-9]+}.json", "/users/1.json"),
            ("/users/:id.json", "/users/1.json"),
            ("/users/*.json", "/users/1.json"),
            ("/users/{id}:publish", "/users/1:publish"),
            ("/{any}/1", "/users/1 /users//1;v=2 /user/1"),
            ("/user*/1", "/users/1 /users//1;v=2"),
            ("/users/*/posts/*", "/users/1/posts/2"),
            ("/users/1/**", "/users/1 /users/1/posts /users/1/posts/2 /users//1;v=2"),
            ("/users/1/{rest...}", "/users/1 /users/1/posts /users/1/posts/2 /users//1;v=2"),
            ("/users/{id}/{*rest}", &matching("/users/{id}/**", PATHS).join(" ")),
            ("/**", PATHS),
            ("/nothing", ""),
        ] {
            assert_eq!(matching(pattern, PATHS).join(" "), expected, "{pattern}");
        }
        for (pattern, expected) in [("/**", 1), ("/a/**", 1), (&*"/a".repeat(MAX_SEGMENTS), 0)] {
            assert_eq!(matching(pattern, &deep).len(), expected, "{pattern}");
        }
    }

    #[test]
    fn whose_they_are() {
        for (pattern, text, service, expected) in [
            ("/users/{id}", "/users/{id}", "anything", true),
            ("cart:/users/{id}", "/users/{id}", "cart", true),
            ("cart:/users/{id}", "/users/{id}", "carts", false),
            ("cart*:/users/:id", "/users/:id", "carts", true),
            ("shop/c?rt:/", "/", "shop/cart", true),
        ] {
            let pattern = Pattern::parse(pattern).unwrap();
            assert_eq!((pattern.text(), pattern.is_for(service)), (text, expected), "{pattern:?}");
        }
    }

    #[test]
    fn what_is_no_pattern() {
        let (long, deep) = (format!("/{}", "a".repeat(MAX_PATTERN)), "/a".repeat(MAX_SEGMENTS + 1));
        let too_long = "a route of at most 512 bytes and 16 segments";
        for (text, expected) in [
            ("", "a route such as /users/{id}, or cart:/users/{id} for one service"),
            ("users", "a route such as /users/{id}, or cart:/users/{id} for one service"),
            (":/users", "a route such as /users/{id}, or cart:/users/{id} for one service"),
            ("cart:users/1", "a route such as /users/{id}, or cart:/users/{id} for one service"),
            ("/a/**/b", "** as the last segment alone"),
            ("/{*a}/b", "** as the last segment alone"),
            ("/a/***", r#"one placeholder {name}, :name or * in the segment "***""#),
            ("/{a}-{b}", r#"one placeholder {name}, :name or * in the segment "{a}-{b}""#),
            ("/{a", r#"one placeholder {name}, :name or * in the segment "{a""#),
            ("/a}", r#"one placeholder {name}, :name or * in the segment "a}""#),
            ("/{}", r#"one placeholder {name}, :name or * in the segment "{}""#),
            ("/:", r#"one placeholder {name}, :name or * in the segment ":""#),
            ("/:a*", r#"one placeholder {name}, :name or * in the segment ":a*""#),
            (
                "/a?b=c",
                r##"a path's segment instead of "a?b=c": no space, control character, ?, # or ;, and neither . nor .."##,
            ),
            (
                "/a b",
                r##"a path's segment instead of "a b": no space, control character, ?, # or ;, and neither . nor .."##,
            ),
            (
                "/../a",
                r##"a path's segment instead of "..": no space, control character, ?, # or ;, and neither . nor .."##,
            ),
            (&*long, too_long),
            (&*deep, too_long),
        ] {
            assert_eq!(Pattern::parse(text).unwrap_err().to_string(), expected, "{text}");
        }
    }
}
