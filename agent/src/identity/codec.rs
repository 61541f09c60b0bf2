//! A process as bytes, for recorded files: little-endian, texts preceded by their length in two bytes.
//!
//! `pid: u32, start_ticks: u64, since: u64, name, executable`, then as far as they are known, each of them only if all before it
//! are there: the declared service name, the cgroup's path, the command line, and pairs of declared attributes. An empty text
//! says that a thing is not known.

use std::{ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf};

use super::process::Process;
use crate::time::Nanos;

impl Process {
    /// Appends the process to `out`. Texts longer than 64 KiB − 1 are cut.
    pub fn to_record(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pid.to_le_bytes());
        out.extend_from_slice(&self.start_ticks.to_le_bytes());
        out.extend_from_slice(&self.since.0.to_le_bytes());
        put_text(out, self.name.as_bytes());
        put_text(out, self.executable.as_os_str().as_bytes());
        put_text(out, self.declared.name.as_deref().unwrap_or_default().as_bytes());
        put_text(out, self.cgroup.as_bytes());
        put_text(out, &self.command_line);
        for (key, value) in &self.declared.attributes {
            put_text(out, key.as_bytes());
            put_text(out, value.as_bytes());
        }
    }

    /// The process written by [`Process::to_record`]; `None` for any other bytes.
    #[must_use]
    pub fn from_record(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let mut process = Self {
            pid: u32::from_le_bytes(take(rest)?),
            start_ticks: u64::from_le_bytes(take(rest)?),
            since: Nanos(u64::from_le_bytes(take(rest)?)),
            name: take_string(rest)?,
            executable: PathBuf::from(OsStr::from_bytes(take_text(rest)?)),
            ..Self::default()
        };
        if !rest.is_empty() {
            process.declared.name = Some(take_string(rest)?).filter(|name| !name.is_empty());
        }
        if !rest.is_empty() {
            process.cgroup = take_string(rest)?;
            process.command_line = take_text(rest)?.to_vec();
        }
        while !rest.is_empty() {
            process.declared.attributes.push((take_string(rest)?, take_string(rest)?));
        }
        Some(process)
    }
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    let text = text.get(..usize::from(u16::MAX)).unwrap_or(text);
    // Cut above to what two bytes can say.
    out.extend_from_slice(&u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes());
    out.extend_from_slice(text);
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

fn take_text<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_le_bytes(take(rest)?);
    let (text, tail) = rest.split_at_checked(length.into())?;
    *rest = tail;
    Some(text)
}

fn take_string(rest: &mut &[u8]) -> Option<String> {
    take_text(rest).map(|text| String::from_utf8_lossy(text).into_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use proptest::{collection::vec, option, prelude::*};

    use super::*;
    use crate::identity::declared::Declared;

    fn process() -> impl Strategy<Value = Process> {
        let numbers = (any::<u32>(), any::<u64>(), any::<u64>());
        let texts = (".{0,40}", vec(any::<u8>(), 0..40), ".{0,40}", vec(any::<u8>(), 0..40));
        let declared = (option::of(".{1,40}"), vec((".{0,9}", ".{0,9}"), 0..4));
        (numbers, texts, declared).prop_map(
            |((pid, start_ticks, since), (name, executable, cgroup, command_line), (service, attributes))| {
                Process {
                    pid,
                    start_ticks,
                    since: Nanos(since),
                    name,
                    executable: std::ffi::OsString::from_vec(executable).into(),
                    declared: Declared { name: service, attributes },
                    command_line,
                    cgroup,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn written_and_read_back(process in process()) {
            let mut bytes = Vec::new();
            process.to_record(&mut bytes);
            prop_assert_eq!(Process::from_record(&bytes), Some(process.clone()));
            bytes.push(0);
            prop_assert_eq!(Process::from_record(&bytes), None);
        }

        #[test]
        fn no_bytes_break_the_reader(bytes in vec(any::<u8>(), 0..300)) {
            if let Some(process) = Process::from_record(&bytes) {
                prop_assert!(process.name.len() <= 3 * bytes.len());
            }
        }

        #[test]
        fn what_is_cut_is_refused_or_knows_less(process in process(), part in 0.0..1.0_f64) {
            let mut bytes = Vec::new();
            process.to_record(&mut bytes);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "a fraction of a small length"
            )]
            let end = (bytes.len() as f64 * part) as usize;
            let Some(read) = Process::from_record(&bytes[..end]) else { return Ok(()) };
            prop_assert_eq!((read.pid, read.start_ticks, read.since), (process.pid, process.start_ticks, process.since));
            prop_assert_eq!((&read.name, &read.executable), (&process.name, &process.executable));
            prop_assert!(read.declared.attributes.len() <= process.declared.attributes.len());
        }
    }

    #[test]
    fn texts_longer_than_the_length_field_are_cut() {
        let process =
            Process { pid: 1, start_ticks: 2, since: Nanos(3), name: "x".repeat(70_000), ..Process::default() };
        let mut bytes = Vec::new();
        process.to_record(&mut bytes);
        let read = Process::from_record(&bytes).expect("a written process is read");
        assert_eq!(read.name.len(), 65_535);
        assert_eq!(read.declared, Declared::default());
    }
}
