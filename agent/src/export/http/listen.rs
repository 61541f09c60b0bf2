//! Where the server listens: an address and a port, or a socket in the file system.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    os::unix::{
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixListener,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, fchmod},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with},
};

use super::web::WebError;
use crate::config::value::endpoint::Listen;

/// Connections that may wait to be accepted, as far as `net.core.somaxconn` allows: a thousand scrapers at once wait in
/// the kernel instead of trying again a second later.
const BACKLOG: i32 = 1024;

/// Permissions of the socket in the file system: its owner, and the group that its directory gives it.
const MODE: u32 = 0o660;

/// Why a place cannot be listened at, and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another socket has it.
    #[error("cannot listen on {0}: the address is already in use; stop what uses it, or choose another with {1}")]
    InUse(Listen, &'static str),
    /// A port below 1024 without the capability that it takes, or a directory that is not to be written to.
    #[error("cannot listen on {0}: permission denied; {remedy}", remedy = remedy(.0, .1))]
    Denied(Listen, &'static str),
    /// No interface has it.
    #[error("cannot listen on {0}: this host has no such address; choose another with {1}")]
    NoSuchAddress(Listen, &'static str),
    /// A file of another kind.
    #[error("cannot listen on {0}: the file is no socket, and is left alone; choose another with {1}")]
    NoSocket(Listen, &'static str),
    /// Anything else.
    #[error("cannot listen on {0}: {1}")]
    Other(Listen, io::Error),
    /// The web configuration file is unusable.
    #[error(transparent)]
    Web(#[from] WebError),
}

/// A socket that listens, not yet of any runtime. A file that it has in the file system goes when it is dropped.
#[derive(Debug)]
pub struct Bound {
    /// The socket.
    pub(super) socket: Socket,
    /// Its file.
    pub(super) file: Option<SocketFile>,
}

/// A socket that listens without blocking.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// The file of a socket of ours, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    /// Device and inode: what another agent has put there meanwhile is not ours to remove.
    identity: (u64, u64),
}

impl Bound {
    /// Listens at `place`, which `flag` has set. A socket in the file system that nobody listens at any more is
    /// replaced.
    ///
    /// # Errors
    /// [`BindError`].
    pub fn new(place: &Listen, flag: &'static str) -> Result<Self, BindError> {
        match place {
            Listen::Tcp(address) => {
                let socket = tcp(*address).map_err(|error| BindError::of(error, place, flag))?;
                Ok(Self { socket: Socket::Tcp(socket), file: None })
            }
            Listen::Unix(path) => {
                if let Ok(metadata) = fs::symlink_metadata(path)
                    && !metadata.file_type().is_socket()
                {
                    return Err(BindError::NoSocket(place.clone(), flag));
                }
                let (socket, file) = unix(path).map_err(|error| BindError::of(error, place, flag))?;
                Ok(Self { socket: Socket::Unix(socket), file: Some(file) })
            }
        }
    }

    /// Where it really listens: a port of 0 has become one.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn place(&self) -> io::Result<Listen> {
        match (&self.socket, &self.file) {
            (Socket::Tcp(listener), _) => listener.local_addr().map(Listen::Tcp),
            (Socket::Unix(_), Some(file)) => Ok(Listen::Unix(file.path.clone())),
            (Socket::Unix(_), None) => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

fn unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    let address = SocketAddrUnix::new(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let new = || socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    match connect(new()?, &address) {
        // Someone accepts, or would if it had the time.
        Ok(()) | Err(Errno::AGAIN) => return Err(io::ErrorKind::AddrInUse.into()),
        Err(Errno::NOENT) => {}
        Err(Errno::CONNREFUSED) => fs::remove_file(path)?,
        Err(error) => return Err(error.into()),
    }
    let socket = new()?;
    // The file is born with these permissions, so that there is no moment at which others could connect. The umask may
    // take some away, which are given back.
    fchmod(&socket, Mode::from_raw_mode(MODE))?;
    bind(&socket, &address)?;
    fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
    let metadata = fs::symlink_metadata(path)?;
    let file = SocketFile { path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) };
    listen(&socket, BACKLOG)?;
    Ok((UnixListener::from(socket), file))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let there = fs::symlink_metadata(&self.path).map(|metadata| (metadata.dev(), metadata.ino()));
        if there.is_ok_and(|there| there == self.identity)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket");
        }
    }
}

impl BindError {
    fn of(error: io::Error, place: &Listen, flag: &'static str) -> Self {
        let place = place.clone();
        match error.kind() {
            io::ErrorKind::AddrInUse => Self::InUse(place, flag),
            io::ErrorKind::PermissionDenied => Self::Denied(place, flag),
            io::ErrorKind::AddrNotAvailable => Self::NoSuchAddress(place, flag),
            _ => Self::Other(place, error),
        }
    }
}

fn remedy(place: &Listen, flag: &str) -> String {
    match place {
        Listen::Tcp(_) => {
            format!("choose a port above 1023 with {flag}, or run with CAP_NET_BIND_SERVICE")
        }
        Listen::Unix(_) => format!("choose a directory that can be written to with {flag}"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn local(port: u16) -> Listen {
        Listen::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn bound(place: &Listen) -> Result<Bound, String> {
        Bound::new(place, "--listen").map_err(|error| error.to_string())
    }

    #[test]
    fn a_taken_address_says_what_to_do() {
        let taken = bound(&local(0)).unwrap();
        let error = bound(&taken.place().unwrap()).unwrap_err();
        assert!(error.contains("already in use") && error.contains("--listen"), "{error}");
        let elsewhere = bound(&Listen::Tcp("192.0.2.1:9440".parse().unwrap())).unwrap_err();
        assert!(elsewhere.contains("no such address"), "{elsewhere}");
    }

    #[test]
    fn a_socket_lives_as_long_as_what_listens_at_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("redtap.sock");
        let place = Listen::Unix(path.clone());
        let first = bound(&place).unwrap();
        assert_eq!(first.place().unwrap(), place);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        let error = bound(&place).unwrap_err();
        assert!(error.contains("already in use") && error.contains("unix:/"), "{error}");
        drop(first);
        assert!(!path.exists());

        // One that was killed leaves its file.
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = bound(&place).unwrap();
        // Another one's file is left to it.
        fs::remove_file(&path).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(second);
        assert!(path.exists());
        drop(other);
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("redtap.sock");
        fs::write(&path, "precious").unwrap();
        let error = bound(&Listen::Unix(path.clone())).unwrap_err();
        assert!(error.contains("the file is no socket"), "{error}");
        assert_eq!(fs::read_to_string(path).unwrap(), "precious");
        let nowhere = bound(&Listen::Unix(directory.path().join("no/redtap.sock"))).unwrap_err();
        assert!(nowhere.contains("No such file or directory"), "{nowhere}");
    }
}
