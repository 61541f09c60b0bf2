//! What the programs say (`--bpf-log`): their lines, through `aya-log`'s ring, into the agent's log.

use aya::Ebpf;
use aya_log::EbpfLogger;

/// The reading end of the programs' log.
pub struct KernelLog {
    logger: EbpfLogger<Forward>,
}

/// Lines on their way into `tracing`.
struct Forward;

impl log::Log for Forward {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let message = record.args();
        match record.level() {
            log::Level::Error => tracing::error!(target: "redtap::kernel", "{message}"),
            log::Level::Warn => tracing::warn!(target: "redtap::kernel", "{message}"),
            log::Level::Info => tracing::info!(target: "redtap::kernel", "{message}"),
            log::Level::Debug | log::Level::Trace => tracing::debug!(target: "redtap::kernel", "{message}"),
        }
    }

    fn flush(&self) {}
}

impl KernelLog {
    pub(super) fn take(ebpf: &mut Ebpf) -> Option<Self> {
        let logger = EbpfLogger::init_with_logger(ebpf, Forward).ok()?;
        Some(Self { logger })
    }

    /// Hands on what has been said.
    pub fn flush(&mut self) {
        self.logger.flush();
    }
}
