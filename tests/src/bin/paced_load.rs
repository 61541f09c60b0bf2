//! `paced-load ADDRESS:PORT CONNECTIONS RATE SECONDS`: requests that are due at even distances, RATE a second, over kept
//! connections, and how late their answers were.
//!
//! An answer is as late as it is after its request was *due*: a server that is slow is not asked less often for it, and what
//! waits for a free connection waits at the server's cost. Prints what was reached, in lines as `wrk` and its scripts have them.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use redtap_tests::load::{BUFFER, PATIENCE, connect, read_answer};
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::fd::OwnedFd;
use rustix::thread::set_current_timer_slack;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: paced\r\n\r\n";

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, connections, rate, seconds] = arguments.as_slice() else { bail!("four arguments, please") };
    let connections: u64 = connections.parse().context("CONNECTIONS")?;
    let rate: f64 = rate.parse().context("RATE")?;
    let seconds: f64 = seconds.parse().context("SECONDS")?;
    ensure!(rate > 0.0 && connections > 0, "nobody asks");
    // To the microsecond, not to fifty of them.
    set_current_timer_slack(Some(1.try_into()?))?;
    let mut load = Load::connect(address, connections)?;
    let start = Instant::now();
    let late = load.run(start, Duration::from_secs_f64(rate.recip()), (rate * seconds) as u32)?;
    println!("Requests/sec: {:.2}", late.len() as f64 / start.elapsed().as_secs_f64());
    for (name, part) in [("50", 0.5), ("99", 0.99), ("99.9", 0.999)] {
        let at = late.get((late.len() as f64 * part) as usize).context("no answers")?;
        println!("percentile {name} (us): {}", at.as_micros());
    }
    Ok(())
}

struct Load {
    poll: OwnedFd,
    streams: Vec<TcpStream>,
    /// When the request was due that a connection waits for the answer of.
    due: Vec<Instant>,
    free: VecDeque<usize>,
    buffer: Vec<u8>,
}

impl Load {
    fn connect(address: &str, connections: u64) -> anyhow::Result<Self> {
        let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let streams = (0..connections).map(|number| connect(address, &poll, number));
        let streams = streams.collect::<anyhow::Result<Vec<_>>>()?;
        let free = (0..streams.len()).collect();
        Ok(Self { poll, due: vec![Instant::now(); streams.len()], streams, free, buffer: vec![0; BUFFER] })
    }

    /// Asks `count` times, `distance` apart, and gives how late the answers were, from the least to the most.
    fn run(&mut self, start: Instant, distance: Duration, count: u32) -> anyhow::Result<Vec<Duration>> {
        let (mut asked, mut late) = (0, Vec::with_capacity(count as usize));
        while late.len() < count as usize {
            let mut next = start + distance * asked;
            while asked < count && next <= Instant::now() {
                let Some(number) = self.free.pop_front() else { break };
                self.streams[number].write_all(REQUEST)?;
                self.due[number] = next;
                asked += 1;
                next = start + distance * asked;
            }
            let can_ask = asked < count && !self.free.is_empty();
            let wait = if can_ask { next.saturating_duration_since(Instant::now()) } else { PATIENCE };
            self.read(wait, &mut late)?;
            ensure!(can_ask || start.elapsed() < distance * count + PATIENCE, "no answers for {PATIENCE:?}");
        }
        late.sort_unstable();
        Ok(late)
    }

    /// Reads what is there, or comes within `wait`.
    fn read(&mut self, wait: Duration, late: &mut Vec<Duration>) -> anyhow::Result<()> {
        // epoll_wait(2) knows whole milliseconds only.
        poll(&mut [PollFd::new(&self.poll, PollFlags::IN)], Some(&Timespec::try_from(wait)?))?;
        let mut events = Vec::with_capacity(self.streams.len());
        epoll::wait(&self.poll, spare_capacity(&mut events), Some(&Timespec::default()))?;
        for event in events {
            let number = usize::try_from(event.data.u64())?;
            read_answer(&mut self.streams[number], &mut self.buffer)?;
            late.push(self.due[number].elapsed());
            self.free.push_back(number);
        }
        Ok(())
    }
}
