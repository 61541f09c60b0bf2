//! The few private offsets of the kernel that are read, where nothing else serves: from its own BTF
//! (Documentation/bpf/btf.rst), never from a table of versions.

/// BTF magic.
const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;

/// Where each member lies in its `struct`, in bytes, on the running kernel.
#[must_use]
pub fn kernel_offsets<const N: usize>(members: [(&str, &str); N]) -> [Option<u32>; N] {
    let Ok(data) = std::fs::read("/sys/kernel/btf/vmlinux") else { return [None; N] };
    members.map(|(name, member)| offset(&data, name, member))
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..at.checked_add(4)?)?;
    Some(u32::from_ne_bytes(bytes.try_into().ok()?))
}

fn string(strings: &[u8], at: u32) -> Option<&str> {
    let from = strings.get(usize::try_from(at).ok()?..)?;
    let end = memchr::memchr(0, from)?;
    std::str::from_utf8(from.get(..end)?).ok()
}

/// Where `member` lies in `struct name`, in bytes, by the BTF in `data`.
fn offset(data: &[u8], name: &str, member: &str) -> Option<u32> {
    if u16::from_ne_bytes(data.get(..2)?.try_into().ok()?) != MAGIC {
        return None;
    }
    let header_len = usize::try_from(word(data, 4)?).ok()?;
    let section = |at: usize| -> Option<&[u8]> {
        let start = header_len.checked_add(usize::try_from(word(data, at)?).ok()?)?;
        data.get(start..start.checked_add(usize::try_from(word(data, at + 4)?).ok()?)?)
    };
    let (types, strings) = (section(8)?, section(16)?);
    let mut at = 0;
    while at < types.len() {
        let info = word(types, at + 4)?;
        let (kind, count) = ((info >> 24) & 0x1f, usize::try_from(info & 0xffff).ok()?);
        if kind == KIND_STRUCT && string(strings, word(types, at)?)? == name {
            let bitfields = info >> 31 == 1;
            return (0..count).find_map(|index| {
                let entry = at + 12 + index * 12;
                (string(strings, word(types, entry)?)? == member).then_some(())?;
                let bits = word(types, entry + 8)?;
                Some(if bitfields { bits & 0x00ff_ffff } else { bits } / 8)
            });
        }
        // Bytes that follow the 12 common to all kinds (include/uapi/linux/btf.h).
        at += 12
            + match kind {
                1 | 14 | 17 => 4,
                3 => 12,
                4 | 5 | 15 | 19 => count * 12,
                6 | 13 => count * 8,
                _ => 0,
            };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_member_behind_other_types() {
        let strings = b"\0other\0sock_common\0a\0skc_cookie\0";
        let mut types: Vec<u8> = Vec::new();
        let mut put = |words: &[u32]| words.iter().for_each(|word| types.extend(word.to_ne_bytes()));
        put(&[1, 1 << 24, 4, 32]); // int other
        put(&[7, (4 << 24) | 2, 16]); // struct sock_common, two members
        put(&[19, 1, 0, 21, 1, 64]);
        let mut data = Vec::new();
        data.extend(MAGIC.to_ne_bytes());
        data.extend([1, 0]);
        let lens = [types.len(), strings.len()].map(|len| u32::try_from(len).unwrap());
        for word in [24, 0, lens[0], lens[0], lens[1]] {
            data.extend(word.to_ne_bytes());
        }
        data.extend(&types);
        data.extend(strings);
        assert_eq!(offset(&data, "sock_common", "skc_cookie"), Some(8));
        assert_eq!(offset(&data, "sock_common", "skc_other"), None);
        for cut in 0..data.len() {
            assert_eq!(offset(&data[..cut], "sock_common", "skc_cookie"), None, "cut at {cut}");
        }
    }

    #[test]
    fn finds_the_running_kernels() {
        if std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
            assert!(matches!(
                kernel_offsets([("sock_common", "skc_cookie"), ("cgroup", "kn")]),
                [Some(_), Some(_)]
            ));
        }
    }
}
