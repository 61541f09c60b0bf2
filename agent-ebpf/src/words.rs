//! Copies and zeroes, word by word. Where the compiler knows some bytes of a copy to be zero, finds two zeroes side by side or cannot
//! tell an alignment, it makes a call of a loop over bytes: 100 instructions of x86 for 16 bytes.

use core::ptr::{from_mut, from_ref, read_volatile, write_volatile};

/// Zeroes.
///
/// # Safety
/// `T` is made of integers.
#[inline(always)]
pub unsafe fn clear<T>(value: &mut T) {
    let words = from_mut(value).cast::<u64>();
    for word in 0..words_of::<T>() {
        // SAFETY: it has so many words, and zeroes are a value of it.
        unsafe { write_volatile(words.add(word), 0) };
    }
}

/// Copies a value to where there need not be one.
///
/// # Safety
/// `to` is valid for writes, and `T` has no padding.
#[inline(always)]
pub unsafe fn copy<T>(to: *mut T, from: &T) {
    let (to, from) = (to.cast::<u64>(), from_ref(from).cast::<u64>());
    for word in 0..words_of::<T>() {
        // SAFETY: both have so many words.
        unsafe { to.add(word).write(read_volatile(from.add(word))) };
    }
}

/// Copies an address, or a name.
///
/// # Safety
/// Both lie at a multiple of 8.
#[inline(always)]
pub unsafe fn copy_bytes(to: &mut [u8; 16], from: &[u8; 16]) {
    // SAFETY: as aligned as words are, says the caller.
    unsafe { copy(from_mut(to).cast::<[u64; 2]>(), &*from_ref(from).cast::<[u64; 2]>()) };
}

/// How many words a value has.
const fn words_of<T>() -> usize {
    const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() == 8) }
    size_of::<T>() / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_words_are_meant() {
        let mut to = [7_u64; 3];
        // SAFETY: integers without padding.
        unsafe { copy(&raw mut to, &[1, 2, 3]) };
        assert_eq!(to, [1, 2, 3]);
        // SAFETY: likewise.
        unsafe { clear(&mut to) };
        assert_eq!(to, [0; 3]);
    }
}
