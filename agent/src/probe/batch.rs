//! Reading a hash table many entries a system call (`BPF_MAP_LOOKUP_BATCH`, Linux 5.6), which aya has no call for.

use std::{
    io,
    os::fd::{AsFd, AsRawFd},
};

use aya::maps::Map;
use zerocopy::FromBytes;

/// `BPF_MAP_LOOKUP_BATCH` (enum `bpf_cmd`, include/uapi/linux/bpf.h).
const LOOKUP_BATCH: i32 = 24;

/// Entries asked for at once. The kernel refuses if a single bucket has more, which takes an attacker who chooses
/// socket cookies.
const ENTRIES: usize = 1024;

/// The part of `union bpf_attr` that batch commands read.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    in_batch: u64,
    out_batch: u64,
    keys: u64,
    values: u64,
    count: u32,
    map: u32,
    element_flags: u64,
    flags: u64,
}

/// Calls `visit` with every entry of a hash table of these keys and values; those that come or go meanwhile may be
/// left out.
///
/// # Errors
/// What the kernel says.
pub fn read<K, V>(map: &Map, mut visit: impl FnMut(&K, &V)) -> io::Result<()>
where
    K: FromBytes,
    V: FromBytes,
{
    let Map::HashMap(map) = map else { return Err(io::ErrorKind::InvalidInput.into()) };
    let mut keys: Vec<K> = (0..ENTRIES).map(|_| K::new_zeroed()).collect();
    let mut values: Vec<V> = (0..ENTRIES).map(|_| V::new_zeroed()).collect();
    let mut position = 0_u32;
    let mut is_first = true;
    loop {
        let mut next = 0_u32;
        let mut attributes = Attributes {
            in_batch: if is_first { 0 } else { (&raw const position) as u64 },
            out_batch: (&raw mut next) as u64,
            keys: keys.as_mut_ptr() as u64,
            values: values.as_mut_ptr() as u64,
            count: ENTRIES as u32,
            map: map.fd().as_fd().as_raw_fd().cast_unsigned(),
            ..Attributes::default()
        };
        // SAFETY: the attributes name memory that lives through the call and is as large as they say: ENTRIES keys,
        // ENTRIES values and two 32-bit positions, as a hash table has (kernel/bpf/hashtab.c). Both are plain bytes.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, LOOKUP_BATCH, &raw mut attributes, size_of::<Attributes>()) };
        let error = (result != 0).then(io::Error::last_os_error);
        let is_last = match &error {
            None => false,
            Some(error) if error.raw_os_error() == Some(libc::ENOENT) => true,
            Some(error) => return Err(io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO))),
        };
        let count = usize::try_from(attributes.count).unwrap_or(0).min(ENTRIES);
        keys.iter().zip(&values).take(count).for_each(|(key, value)| visit(key, value));
        if is_last {
            return Ok(());
        }
        position = next;
        is_first = false;
    }
}
