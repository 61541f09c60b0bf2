//! A request's path as the segments that count.
//!
//! Normalised as most servers do before they look for a route: what follows a `;` within a segment goes (the
//! matrix parameters that RFC 3986 §3.3 speaks of), empty segments go and with them doubled slashes and a trailing
//! one, `.` and `..` are resolved (§5.2.4). Nothing is percent-decoded.

/// Segments that a template has at the most; of a deeper path the rest is `**`.
pub const MAX_SEGMENTS: usize = 16;

/// The first [`MAX_SEGMENTS`] segments, and how many there are.
#[derive(Clone, Debug)]
pub(super) struct Segments<'a> {
    kept: [&'a [u8]; MAX_SEGMENTS],
    depth: usize,
}

impl<'a> Segments<'a> {
    /// Those of `path`, without query and fragment; `None` for what does not begin with a slash: the empty one,
    /// the `*` of an OPTIONS, an authority.
    pub(super) fn parse(path: &'a [u8]) -> Option<Self> {
        let end = path.iter().position(|byte| matches!(byte, b'?' | b'#')).unwrap_or(path.len());
        let rest = path.get(..end)?.strip_prefix(b"/")?;
        let mut segments = Self { kept: [&[]; MAX_SEGMENTS], depth: 0 };
        for segment in rest.split(|byte| *byte == b'/') {
            let end = segment.iter().position(|byte| *byte == b';').unwrap_or(segment.len());
            match segment.get(..end).unwrap_or_default() {
                b"" | b"." => {}
                b".." => segments.depth = segments.depth.saturating_sub(1),
                segment => segments.push(segment),
            }
        }
        Some(segments)
    }

    fn push(&mut self, segment: &'a [u8]) {
        if let Some(place) = self.kept.get_mut(self.depth) {
            *place = segment;
        }
        self.depth += 1;
    }

    /// The segments, as many as are kept.
    pub(super) fn kept(&self) -> &[&'a [u8]] {
        self.kept.get(..self.depth).unwrap_or(&self.kept)
    }

    /// Whether there are more than are kept.
    pub(super) const fn is_deeper(&self) -> bool {
        self.depth > MAX_SEGMENTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_of_paths() {
        for (path, expected) in [
            ("", None),
            ("*", None),
            ("example.org:443", None),
            ("/", Some("")),
            ("//", Some("")),
            ("/;jsessionid=1", Some("")),
            ("/a/b", Some("a b")),
            ("//a///b//", Some("a b")),
            ("/a?b/c", Some("a")),
            ("/a#b/c", Some("a")),
            ("/a;x=1;y=2/b;z/;/c", Some("a b c")),
            ("/a/./b/.", Some("a b")),
            ("/a/../b/c/..", Some("b")),
            ("/../../etc/passwd", Some("etc passwd")),
            ("/a/..;/b", Some("b")),
            ("/a%2Fb/%2e%2e", Some("a%2Fb %2e%2e")),
            ("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g", Some("1 2 3 4 5 6 7 8 9 a b c d e f g")),
            ("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", Some("1 2 3 4 5 6 7 8 9 a b c d e f g **")),
            ("/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h/../../i", Some("1 2 3 4 5 6 7 8 9 a b c d e f i")),
        ] {
            let segments = Segments::parse(path.as_bytes()).map(|segments| {
                let mut texts: Vec<_> =
                    segments.kept().iter().map(|segment| String::from_utf8_lossy(segment).into_owned()).collect();
                texts.extend(segments.is_deeper().then(|| "**".to_owned()));
                texts.join(" ")
            });
            assert_eq!(segments.as_deref(), expected, "{path}");
        }
    }
}
