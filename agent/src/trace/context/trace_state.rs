//! `tracestate` (W3C Trace Context level 2, §3.3).

use super::Fields;

/// Most characters that are kept: as many as must be passed on (§3.3.1.5).
pub const MAX_TRACE_STATE: usize = 512;

/// Most members (§3.3.1.1).
const MAX_MEMBERS: usize = 32;

/// Members longer than this give way first (§3.3.1.5).
const LONG_MEMBER: usize = 128;

/// Most characters of a key, and of a value (§§3.3.1.3.1, 3.3.1.3.2).
const MAX_PART: usize = 256;

/// The `tracestate` fields of a request, not looked at yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct TraceState<'f> {
    values: &'f [&'f [u8]],
}

impl<'f> TraceState<'f> {
    /// What the fields say; nothing if there are more of them than are kept.
    pub(super) fn of(fields: &'f Fields<'f>) -> Self {
        Self { values: fields.tracestate.get(..usize::from(fields.tracestates)).unwrap_or_default() }
    }

    /// Appends the members, combined into one list, to `out`: all of them, or none if one is invalid. Of a list longer
    /// than [`MAX_TRACE_STATE`], long members are left out first, then those on the right.
    pub fn append_to(&self, out: &mut Vec<u8>) {
        let mut members: [&[u8]; MAX_MEMBERS] = [b""; MAX_MEMBERS];
        let mut count = 0;
        let all = self.values.iter().flat_map(|value| value.split(|byte| *byte == b','));
        for member in all.map(trim).filter(|member| !member.is_empty()) {
            let Some(place) = members.get_mut(count).filter(|_| is_member(member)) else { return };
            *place = member;
            count += 1;
        }
        let Some(members) = members.get_mut(..count) else { return };
        // Each with the comma before it; the first has none.
        let mut length = members.iter().map(|member| member.len() + 1).sum::<usize>();
        for least in [LONG_MEMBER, 0] {
            for member in members.iter_mut().rev() {
                if length > MAX_TRACE_STATE + 1 && member.len() > least {
                    length -= member.len() + 1;
                    *member = b"";
                }
            }
        }
        for (index, member) in members.iter().filter(|member| !member.is_empty()).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member);
        }
    }
}

/// Without spaces and tabs around it.
fn trim(mut member: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = member {
        member = rest;
    }
    member
}

fn is_member(member: &[u8]) -> bool {
    let Some(equals) = memchr::memchr(b'=', member) else { return false };
    let (Some(key), Some(value)) = (member.get(..equals), member.get(equals + 1..)) else { return false };
    let begins = matches!(key, [b'a'..=b'z' | b'0'..=b'9', ..]);
    let of_key = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@');
    let of_value = |byte: &u8| matches!(byte, b' '..=b'~') && *byte != b'=';
    begins
        && key.len() <= MAX_PART
        && (1..=MAX_PART).contains(&value.len())
        && key.iter().all(of_key)
        && value.iter().all(of_value)
}
