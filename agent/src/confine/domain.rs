//! Landlock domains (landlock(7)), as far as the kernel has them: none before Linux 5.13, ports from 6.7, signals and
//! abstract sockets from 6.12.
//!
//! Whoever is in a domain writes, makes, removes and executes no file; listens at no TCP port; sends no signal and
//! connects to no abstract socket outside of it; and looks into no process outside of it, which no access right says.

use std::{io, path::PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

/// The rights that are known here. What an older kernel does not know of them is left out.
const KNOWN: ABI = ABI::V6;

/// What remains of a thread's rights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain {
    /// To connect to TCP ports.
    pub connects: bool,
    /// To remove files in these directories.
    pub removes: Vec<PathBuf>,
}

/// Puts the calling thread into a domain.
pub(super) fn enter(domain: &Domain) -> io::Result<()> {
    let restricted = restrict(domain).map_err(io::Error::other)?;
    match restricted {
        RulesetStatus::NotEnforced => {
            Err(io::Error::new(io::ErrorKind::Unsupported, "the kernel has no Landlock"))
        }
        RulesetStatus::PartiallyEnforced | RulesetStatus::FullyEnforced => Ok(()),
    }
}

fn restrict(domain: &Domain) -> Result<RulesetStatus, landlock::RulesetError> {
    let files = AccessFs::from_write(KNOWN) | AccessFs::Execute;
    let mut ports: BitFlags<AccessNet> = AccessNet::BindTcp.into();
    if !domain.connects {
        ports |= AccessNet::ConnectTcp;
    }
    let rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(files)?
        .handle_access(ports)?
        .scope(Scope::from_all(KNOWN))?
        .create()?;
    // In a directory that is not there is nothing to be removed.
    let mut directories = domain.removes.iter().filter_map(|path| PathFd::new(path).ok());
    let rules = directories
        .try_fold(rules, |rules, directory| rules.add_rule(PathBeneath::new(directory, AccessFs::RemoveFile)))?;
    Ok(rules.restrict_self()?.ruleset)
}
