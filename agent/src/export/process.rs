//! The agent as a process: CPU time, memory and descriptors, from /proc (proc(5)).

use std::{fs, io, time::Duration};

/// Ticks a second in /proc: `USER_HZ`, which is 100 wherever eBPF runs (include/asm-generic/param.h).
const TICKS_PER_SECOND: u64 = 100;

/// What the process used.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ProcessStats {
    /// User and system time.
    pub cpu: Duration,
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_fds: u64,
    /// Start since the epoch.
    pub started: Duration,
    /// Time since the start.
    pub uptime: Duration,
}

impl ProcessStats {
    /// Of the calling process, as it is now.
    ///
    /// # Errors
    /// If /proc cannot be read, or is not as proc(5) says.
    pub fn read() -> io::Result<Self> {
        let stat = fs::read_to_string("/proc/self/stat")?;
        let status = fs::read_to_string("/proc/self/status")?;
        let system = fs::read_to_string("/proc/stat")?;
        let uptime = fs::read_to_string("/proc/uptime")?;
        // The directory handle that counts them is one of them.
        let open_fds = fs::read_dir("/proc/self/fd")?.count().saturating_sub(1);
        let open_fds = u64::try_from(open_fds).unwrap_or(u64::MAX);
        parse(&stat, &status, &system, &uptime)
            .map(|stats| Self { open_fds, ..stats })
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc is not as proc(5) says"))
    }
}

fn parse(stat: &str, status: &str, system: &str, uptime: &str) -> Option<ProcessStats> {
    // The command, in parentheses, may hold spaces and parentheses; what follows is field 3 and on.
    let (_, fields) = stat.rsplit_once(')')?;
    let field = |number: usize| -> Option<u64> { fields.split_ascii_whitespace().nth(number - 3)?.parse().ok() };
    let (user, kernel, start) = (field(14)?, field(15)?, field(22)?);
    let resident_kib: u64 = value(status, "VmRSS:")?;
    let booted: u64 = value(system, "btime")?;
    let since_boot: f64 = uptime.split_ascii_whitespace().next()?.parse().ok()?;
    let since_boot = Duration::try_from_secs_f64(since_boot).ok()?;
    let start = ticks(start);
    Some(ProcessStats {
        cpu: ticks(user.checked_add(kernel)?),
        resident_bytes: resident_kib.checked_mul(1024)?,
        open_fds: 0,
        started: Duration::from_secs(booted).checked_add(start)?,
        uptime: since_boot.saturating_sub(start),
    })
}

fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(1_000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &str =
        "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 3 0 6000 1000 200 18446744073709551615";
    const STATUS: &str = "Name:\ta\nVmPeak:\t9 kB\nVmRSS:\t    2048 kB\n";
    const SYSTEM: &str = "cpu 1 2 3\nbtime 1700000000\nprocesses 9\n";

    #[test]
    fn fields_are_taken_from_their_places() {
        let expected = ProcessStats {
            cpu: Duration::from_millis(1_750),
            resident_bytes: 2 << 20,
            open_fds: 0,
            started: Duration::from_secs(1_700_000_060),
            uptime: Duration::from_millis(40_500),
        };
        assert_eq!(parse(STAT, STATUS, SYSTEM, "100.50 200.00\n"), Some(expected));
    }

    #[test]
    fn what_is_not_proc_is_refused() {
        for (stat, status, system, uptime) in [
            ("", STATUS, SYSTEM, "1 1"),
            ("1 (x) S 1", STATUS, SYSTEM, "1 1"),
            (STAT, "VmRSS: x", SYSTEM, "1 1"),
            (STAT, STATUS, "", "1 1"),
            (STAT, STATUS, SYSTEM, ""),
            (STAT, STATUS, SYSTEM, "-1 1"),
        ] {
            assert_eq!(parse(stat, status, system, uptime), None);
        }
    }

    #[test]
    fn this_process_has_memory_and_descriptors() {
        let stats = ProcessStats::read().unwrap();
        assert!(stats.resident_bytes > 0);
        assert!(stats.open_fds >= 1);
        assert!(stats.started > Duration::from_secs(1_500_000_000));
    }
}
