//! Header fields that were asked for by name, copied out of a head.

use super::{
    head,
    headers::{Header, Headers},
};
use crate::exchange::Field;

/// Lines kept of one head: as many as there may be names.
const MAX_LINES: usize = Headers::MOST;

/// Bytes kept of a value. The conventions set no limit; most that help to find a request are shorter.
const MAX_VALUE: usize = 1024;

/// Bytes kept of all values of a head.
pub const MAX_VALUES: usize = 4096;

/// Adds the fields of a head that `find` knows to `fields`, each value cut to [`MAX_VALUE`] bytes and all of them together to
/// `most`. What is behind that is left out. `head` may go on behind the head's end.
pub fn keep<'a>(head: &[u8], find: impl Fn(&[u8]) -> Option<&'a Header>, most: usize, fields: &mut Vec<Field>) {
    let mut left = most;
    let wanted = head::fields(head).filter_map(|(name, value)| Some((find(name)?, value)));
    for (header, value) in wanted.take(MAX_LINES) {
        let value = header.value(value);
        if left == 0 && !value.is_empty() {
            return;
        }
        let value = value.get(..MAX_VALUE.min(left)).unwrap_or(value);
        left -= value.len();
        match fields.iter_mut().find(|field| field.name == *header.name()) {
            Some(field) => field.values.push(value.to_vec()),
            None => fields.push(Field { name: header.name().clone(), values: vec![value.to_vec()] }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::semconv;

    fn kept(list: &str, head: &[u8], most: usize) -> Vec<Field> {
        let headers = Headers::parse(list).unwrap();
        let mut fields = Vec::new();
        keep(head, |name| headers.request(name), most, &mut fields);
        fields
    }

    /// `name=value|value` of each field.
    fn text(fields: &[Field]) -> String {
        let texts = fields.iter().map(|field| {
            let values: Vec<_> = field.values.iter().map(|value| String::from_utf8_lossy(value)).collect();
            format!("{}={}", field.name, values.join("|"))
        });
        texts.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn fields_are_kept_by_name() {
        for (list, lines, expected) in [
            ("x-a", "X-A: 1\r\nX-B: 2\r\n", "x-a=1"),
            ("x-b,x-a", "X-A: 1\nX-B: 2\n", "x-a=1 x-b=2"),
            ("x-a", "X-A: 1\r\nX-B: 2\r\nx-a:\t3 , 4 \r\n", "x-a=1|3 , 4"),
            ("x-a", "X-A:\r\n", "x-a="),
            ("x-a", "X-A : 1\r\n X-A: 2\r\nX-AA: 3\r\nX-A\r\n", ""),
            ("x-a", "X-A: 1\r\n 2\r\n", "x-a=1"),
            ("x-a", "X-A: a:b\r\n", "x-a=a:b"),
            (
                "a-name-longer-than-any-that-frames",
                "A-Name-Longer-Than-Any-That-Frames: 1\r\n",
                "a-name-longer-than-any-that-frames=1",
            ),
            ("host", "Host: h\r\nContent-Length: 3\r\n", "host=h"),
            (
                "authorization,cookie",
                "Authorization: Basic secret\r\nCookie: a=secret\r\n",
                "authorization=REDACTED cookie=REDACTED",
            ),
            ("authorization!", "Authorization: Basic shown\r\n", "authorization=Basic shown"),
            ("response:x-a", "X-A: 1\r\n", ""),
        ] {
            for (start, end) in
                [("GET / HTTP/1.1\r\n", "\r\nX-A: of the body\r\n\r\n"), ("\r\nGET / HTTP/1.1\n", "x-a: cut off")]
            {
                let head = format!("{start}{lines}{end}");
                assert_eq!(text(&kept(list, head.as_bytes(), MAX_VALUES)), expected, "{head:?}");
            }
        }
    }

    #[test]
    fn what_is_too_much_is_cut_and_left_out() {
        let head = |value: usize, lines: usize| {
            let line = format!("x-a: {}\r\n", "v".repeat(value));
            format!("GET / HTTP/1.1\r\n{}\r\n", line.repeat(lines)).into_bytes()
        };
        for (value, lines, most, expected) in [
            (MAX_VALUE + 1, 1, MAX_VALUES, vec![MAX_VALUE]),
            (MAX_VALUE, 5, MAX_VALUES, vec![MAX_VALUE; 4]),
            (300, 3, 512, vec![300, 212]),
            (0, MAX_LINES + 1, 0, vec![0; MAX_LINES]),
            (1, 3, 0, vec![]),
        ] {
            let fields = kept("x-a", &head(value, lines), most);
            let lengths: Vec<_> = fields.iter().flat_map(|field| &field.values).map(Vec::len).collect();
            assert_eq!(lengths, expected, "{lines} lines of {value} bytes, at most {most}");
        }
    }

    proptest! {
        /// No head is a panic, a head keeps no more than it may, and nothing of what is to be hidden.
        #[test]
        fn any_head_is_kept_within_bounds(
            head in prop::collection::vec(any::<u8>(), 0..200),
            lines in prop::collection::vec("(x-a|cookie|[ -~]{0,8}):[ -~]{0,40}\r?\n", 0..20),
            most in 0_usize..64,
        ) {
            let lines = lines.concat();
            for head in [head, format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes()] {
                let fields = kept("x-a,cookie", &head, most);
                let values = || fields.iter().flat_map(|field| &field.values);
                prop_assert!(values().map(Vec::len).sum::<usize>() <= most && values().count() <= MAX_LINES);
                let hidden = fields.iter().filter(|field| &*field.name == "cookie").flat_map(|field| &field.values);
                for value in hidden {
                    prop_assert!(semconv::REDACTED.starts_with(value));
                }
            }
        }
    }
}
