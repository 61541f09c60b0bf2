//! `traceparent` (W3C Trace Context level 2, §3.2).

use super::{Carried, hex, ids};

/// Characters of version 00, and the least of any later one.
const LENGTH: usize = 55;

const SAMPLED: u128 = 0x01;
const RANDOM: u128 = 0x02;

/// Reads the value of the only `traceparent` field. Of a later version it reads what every version has (§3.2.4).
pub(super) fn parse(value: &[u8]) -> Option<Carried> {
    let value = value.trim_ascii();
    let (fixed, rest) = value.split_at_checked(LENGTH)?;
    let version = hex::lower(fixed.get(..2)?, 2).filter(|version| *version != 0xff)?;
    let delimited = [2, 35, 52].iter().all(|at| fixed.get(*at) == Some(&b'-'));
    let ends = if version == 0 { rest.is_empty() } else { matches!(rest, [] | [b'-', ..]) };
    if !delimited || !ends {
        return None;
    }
    let trace = hex::lower(fixed.get(3..35)?, 32)?;
    let span = u64::try_from(hex::lower(fixed.get(36..52)?, 16)?).ok()?;
    let flags = hex::lower(fixed.get(53..)?, 2)?;
    let sampled = Some(flags & SAMPLED != 0);
    Some(Carried { ids: Some(ids(trace, span)?), sampled, random: flags & RANDOM != 0 })
}
