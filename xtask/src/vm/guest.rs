//! The root file system of a virtual machine: the agent, the end-to-end tests as they are built for the host, and real
//! servers and clients, which are the host's.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::archive::{Root, merged};
use super::kernels::Kernel;
use super::modules::modules;
use crate::process::{command, find, run};
use crate::workspace;

/// Programs of the host.
const PROGRAMS: [&str; 20] = [
    "nginx", "apache2", "haproxy", "curl", "wrk", "openssl", "busybox", "bpftool", "ip", "ss", "nstat", "nft",
    "date", "setpriv", "unshare", "nsenter", "mount", "umount", "strace", "python3",
];

/// Files of the host that programs read.
const FILES: [&str; 6] =
    ["/etc/passwd", "/etc/group", "/etc/hosts", "/etc/services", "/etc/protocols", "/usr/lib/ssl/openssl.cnf"];

/// Directories of the host that programs read.
const DIRECTORIES: [&str; 2] = ["/usr/lib/apache2/modules", "/usr/lib/x86_64-linux-gnu/ossl-modules"];

/// What of Python's library nobody here needs, and is large.
const NOT_OF_PYTHON: [&str; 8] =
    ["test", "idlelib", "lib2to3", "tkinter", "pydoc_data", "ensurepip", "distutils", "__pycache__"];

/// What a machine is to do.
#[derive(Clone, Debug, Default)]
pub struct Guest {
    /// Files of the host, and their places.
    pub files: Vec<(PathBuf, PathBuf)>,
    /// Directories of the host, to be at their own places.
    pub directories: Vec<PathBuf>,
    /// Texts, and their places.
    pub texts: Vec<(&'static str, &'static str)>,
    /// A program of the shell, in the words of `init.sh`.
    pub steps: String,
    /// Of a machine that cannot run the host's programs: the busybox that is there instead of them.
    pub busybox: Option<PathBuf>,
}

impl Guest {
    /// The root file system for a kernel, as a file.
    ///
    /// # Errors
    /// When something that belongs there cannot be read.
    pub fn root(&self, kernel: &Kernel, file: &Path) -> Result<()> {
        let mut root = Root::default();
        for (name, to) in merged() {
            root.link(&name, &to);
        }
        for directory in ["proc", "sys", "dev", "tmp", "run", "busybox", "etc", "usr/local/bin", "var/log/nginx"] {
            root.directory(directory);
        }
        // Before busybox is installed.
        root.link("busybox/sh", "/usr/bin/busybox");
        root.link("usr/bin/sh", "busybox");
        root.file("init", 0o755, include_bytes!("init.sh").to_vec());
        root.file("steps", 0o644, self.steps.clone().into_bytes());
        match &self.busybox {
            Some(busybox) => root.host_file_as(busybox, Path::new("/usr/bin/busybox"))?,
            None => host_programs(&mut root)?,
        }
        for (path, place) in &self.files {
            root.host_file_as(path, place)?;
        }
        for (place, text) in &self.texts {
            root.file(place, 0o644, text.as_bytes().to_vec());
        }
        for path in &self.directories {
            root.host_directory(path, &|_| true)?;
        }
        let mut order = String::new();
        for (name, content) in modules(&kernel.modules)? {
            order += &format!("{name}\n");
            root.file(&format!("modules/{name}.ko"), 0o644, content);
        }
        root.file("modules/order", 0o644, order.into_bytes());
        fs::write(file, root.archive()?).with_context(|| format!("cannot write {}", file.display()))
    }

    /// A program that was built, without what a debugger reads.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn add_built(&mut self, path: &Path, place: PathBuf) -> Result<()> {
        let name = path.file_name().context("a program has a name")?;
        let stripped = workspace::scratch("vm/stripped")?.join(name);
        run(command("strip").arg("-o").args([&stripped, path]))?;
        fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755))?;
        self.files.push((stripped, place));
        Ok(())
    }
}

/// Servers, clients and whatever else the stories run.
fn host_programs(root: &mut Root) -> Result<()> {
    for program in PROGRAMS {
        // One that is not there is missed by the story that needs it.
        let found = Path::new("/usr/bin").join(program);
        let Some(found) = Some(found).filter(|path| path.is_file()).or_else(|| find(program)) else {
            continue;
        };
        root.host_file(&found)?;
    }
    for path in FILES.map(Path::new).into_iter().filter(|path| path.is_file()) {
        root.host_file(path)?;
    }
    for path in DIRECTORIES.map(Path::new).into_iter().filter(|path| path.is_dir()) {
        root.host_directory(path, &|_| true)?;
    }
    if let Some(library) = python_library() {
        root.host_directory(&library, &|path| {
            !NOT_OF_PYTHON.iter().any(|name| path.file_name().is_some_and(|file| file == *name))
        })?;
    }
    Ok(())
}

/// The library of Debian's Python, such as /usr/lib/python3.11.
fn python_library() -> Option<PathBuf> {
    let program = fs::read_link("/usr/bin/python3").ok()?;
    Some(Path::new("/usr/lib").join(program.file_name()?)).filter(|path| path.is_dir())
}
