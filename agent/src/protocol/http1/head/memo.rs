//! Heads that were read before. Most requests on a connection differ from the one before in their first line alone, and
//! so do answers within a second; what follows is compared then, which costs a fraction of reading it.

use std::ops::Range;

use memchr::memchr;

use super::{Framing, Head, Parsed, parse, start_line, trim_cr};
use crate::trace::context::Fields;

/// Blocks that are remembered: a power of two.
const BLOCKS: usize = 1024;

/// The longest block that is remembered.
const MAX_BLOCK: usize = 512;

/// What the fields of a head say, and their bytes, from behind the first line to behind the empty one.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    framing: Framing,
    host: Range<usize>,
    user_agent: Range<usize>,
    upgrade: Range<usize>,
    expects_continue: bool,
    event_stream: bool,
}

/// The blocks that came last. The next one of the same length and beginning takes the place of an earlier one.
#[derive(Debug, Default)]
pub struct Memo {
    blocks: Vec<Option<Block>>,
}

impl Memo {
    /// [`parse`], the same result for less where the fields are those of an earlier head.
    pub fn read<'a>(&mut self, bytes: &'a [u8], mut others: Option<&mut Fields<'a>>) -> Parsed<'a> {
        let Some((first, block)) = split(bytes) else { return parse(bytes, others) };
        let index = index(block);
        if let Some(Some(known)) = self.blocks.get(index)
            && block.starts_with(&known.bytes)
        {
            let Some((start, minor)) = start_line(first) else { return Parsed::Invalid };
            let of = |place: &Range<usize>| block.get(place.clone()).unwrap_or_default();
            let head = Head {
                start,
                minor,
                framing: known.framing,
                host: of(&known.host),
                user_agent: of(&known.user_agent),
                upgrade: of(&known.upgrade),
                expects_continue: known.expects_continue,
                event_stream: known.event_stream,
            };
            return Parsed::Whole(head, bytes.len() - block.len() + known.bytes.len());
        }
        let parsed = parse(bytes, others.as_deref_mut());
        if let Parsed::Whole(head, length) = &parsed
            && others.is_none_or(|others| *others == Fields::default())
        {
            self.keep(index, block, block.len() + length - bytes.len(), head);
        }
        parsed
    }

    fn keep(&mut self, index: usize, block: &[u8], length: usize, head: &Head<'_>) {
        let Some(bytes) = block.get(..length).filter(|bytes| bytes.len() <= MAX_BLOCK) else { return };
        // Of an empty value it does not matter where it is.
        let place = |part: &[u8]| {
            let begin = part.as_ptr().addr().wrapping_sub(block.as_ptr().addr());
            if part.is_empty() { 0..0 } else { begin..begin + part.len() }
        };
        if self.blocks.is_empty() {
            self.blocks.resize_with(BLOCKS, || None);
        }
        let Some(slot) = self.blocks.get_mut(index) else { return };
        let mut kept = slot.take().map(|block| block.bytes).unwrap_or_default();
        kept.clear();
        kept.extend_from_slice(bytes);
        *slot = Some(Block {
            bytes: kept,
            framing: head.framing,
            host: place(head.host),
            user_agent: place(head.user_agent),
            upgrade: place(head.upgrade),
            expects_continue: head.expects_continue,
            event_stream: head.event_stream,
        });
    }
}

/// The first line, and what is behind it; `None` where that is nothing, or empty lines come first.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if matches!(bytes.first(), Some(b'\r' | b'\n')) {
        return None;
    }
    let (first, block) = bytes.split_at_checked(memchr(b'\n', bytes)? + 1)?;
    let first = first.strip_suffix(b"\n")?;
    (!block.is_empty()).then(|| (trim_cr(first), block))
}

/// Where a block belongs, by its length, its beginning and its middle.
fn index(block: &[u8]) -> usize {
    let word =
        |at: usize| block.get(at..).and_then(<[u8]>::first_chunk).map_or(0, |word| u64::from_le_bytes(*word));
    let mixed = word(0) ^ word(block.len() / 2).rotate_left(29) ^ block.len() as u64;
    // The high bits of a product depend on all of the low ones (Fibonacci hashing).
    let hash = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    usize::try_from(hash).unwrap_or_default() % BLOCKS
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const LINES: [&str; 14] = [
        "GET / HTTP/1.1\r\n",
        "POST /a HTTP/1.0\r\n",
        "HTTP/1.1 200 OK\r\n",
        "nothing\r\n",
        "Host: a\r\n",
        "Host: bc\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\n",
        "User-Agent:\r\n",
        "Expect: 100-continue\r\n",
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n",
        "\r\n",
        "\r\n",
        "body",
    ];

    proptest! {
        #[test]
        fn a_head_is_read_as_if_for_the_first_time(
            heads in vec(vec(prop::sample::select(&LINES[..]), 0..6), 0..40),
            gathers in any::<bool>(),
        ) {
            let mut memo = Memo::default();
            for head in heads {
                let bytes = head.concat().into_bytes();
                let (mut found, mut expected) = (Fields::default(), Fields::default());
                let parsed = memo.read(&bytes, gathers.then_some(&mut found));
                prop_assert_eq!(parsed, parse(&bytes, gathers.then_some(&mut expected)));
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn the_same_fields_are_compared() {
        let mut memo = Memo::default();
        let head =
            |target: &str| format!("GET {target} HTTP/1.1\r\nHost: shop\r\nUser-Agent: x\r\n\r\n").into_bytes();
        for target in ["/", "/a", "/b"] {
            let bytes = head(target);
            let Parsed::Whole(found, length) = memo.read(&bytes, None) else { panic!("no head") };
            assert_eq!((found.host, found.user_agent, length), (&b"shop"[..], &b"x"[..], bytes.len()));
        }
        assert_eq!(memo.blocks.iter().flatten().count(), 1);
    }
}
