//! Addresses of pods before they have them: the plugin that gives them out keeps in files which are taken, and which was
//! the last.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::Cluster;

impl Cluster {
    /// The address that the next pod will have.
    ///
    /// # Errors
    /// When no pod had one yet.
    pub fn next_address(&self) -> Result<Ipv4Addr> {
        let last =
            fs::read_to_string(self.addresses("last_reserved_ip.0")).context("no pod had an address yet")?;
        let mut next = u32::from(last.trim().parse::<Ipv4Addr>()?) + 1;
        while self.addresses(&Ipv4Addr::from(next).to_string()).exists() {
            next += 1;
        }
        Ok(Ipv4Addr::from(next))
    }

    /// Has the next pod get `address`, if it is free.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_next_address(&self, address: Ipv4Addr) -> Result<()> {
        let before = Ipv4Addr::from(u32::from(address) - 1);
        fs::write(self.addresses("last_reserved_ip.0"), before.to_string()).context("cannot set the next address")
    }

    fn addresses(&self, name: &str) -> PathBuf {
        self.file("var/lib/cni/networks/pods").join(name)
    }
}
