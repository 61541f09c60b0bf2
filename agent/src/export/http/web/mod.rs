//! Who may ask, and over what: the web configuration file, as Prometheus' exporter-toolkit has it
//! (`web-configuration.md`), read again when it or a file that it names changes.

mod file;
mod guard;
mod tls;

use std::{
    fs,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper::{
    HeaderMap,
    header::{HeaderName, HeaderValue},
};
use rustls::ServerConfig;
use tokio::time::Instant;

use self::{file::File, guard::Guard};

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_secs(1);

/// Longest file read. Bundles of certification authorities have some hundred KiB.
const LONGEST: u64 = 1 << 20;

/// Why the web configuration is unusable. What the files contain is told of no further than the names of keys.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// A file cannot be read.
    #[error("cannot read {what} {}: {source}", path.display())]
    Unreadable {
        /// Which of them.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The text of the web configuration file.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong.
        message: String,
    },
    /// What it says.
    #[error("{}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// The kernel gives no random bytes, with which passwords are protected here.
    #[error("cannot get random bytes")]
    Random,
}

/// What a web configuration file comes to.
#[derive(Debug, Default)]
pub struct Settings {
    /// How TLS is spoken, if it is.
    pub tls: Option<Arc<ServerConfig>>,
    /// Who is let in, if not everyone.
    pub guard: Option<Guard>,
    /// Fields for every answer that does not have them.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// The settings in force.
#[derive(Debug)]
pub struct Web {
    path: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    settings: Arc<Settings>,
    /// The file and those that it names, as they were before they were read.
    files: Files,
    looked: Instant,
}

/// What changes when a file is written to or replaced: modification time in seconds and nanoseconds, length, inode.
type Seen = (i64, i64, u64, u64);

/// Files, and what was seen of each, if it was there.
type Files = Vec<(PathBuf, Option<Seen>)>;

impl Web {
    /// The settings of the file at `path`; without one, plain HTTP for everyone.
    ///
    /// # Errors
    /// [`WebError`].
    pub fn new(path: Option<&Path>) -> Result<Self, WebError> {
        let (settings, files) = match path {
            Some(path) => {
                let (files, settings) = load(path);
                (settings?, files)
            }
            None => (Settings::default(), Vec::new()),
        };
        let state = State { settings: Arc::new(settings), files, looked: Instant::now() };
        Ok(Self { path: path.map(Path::to_owned), state: Mutex::new(state) })
    }

    /// The settings as the files have them, or had them when they were last valid. Files that changed are read here, at
    /// most once a second: they are few and small.
    #[must_use]
    pub fn current(&self) -> Arc<Settings> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(path) = &self.path
            && state.looked.elapsed() >= LOOK
        {
            state.looked = Instant::now();
            if state.files.iter().any(|(path, seen)| look(path) != *seen) {
                state.reload(path);
            }
        }
        Arc::clone(&state.settings)
    }
}

impl State {
    fn reload(&mut self, path: &Path) {
        let (files, settings) = load(path);
        self.files = files;
        match settings {
            Ok(settings) => {
                self.settings = Arc::new(settings);
                tracing::info!(file = %path.display(), "web configuration read again");
            }
            // Once: there is no further attempt before a file changes again.
            Err(error) => tracing::warn!(%error, "web configuration is not valid, the former one stays in force"),
        }
    }
}

/// Reads the file at `path` and those that it names. Which these are is known even if they are not usable: a key that
/// does not yet belong to its certificate is a matter of moments.
fn load(path: &Path) -> (Files, Result<Settings, WebError>) {
    let mut files = vec![(path.to_owned(), look(path))];
    let file = match File::read(path) {
        Ok(file) => file,
        Err(error) => return (files, Err(error)),
    };
    files.extend(file.named().map(|path| (path.to_owned(), look(path))));
    (files, settings(path, &file))
}

fn settings(path: &Path, file: &File) -> Result<Settings, WebError> {
    Ok(Settings {
        tls: file.tls.as_ref().map(|files| tls::config(path, files)).transpose()?.map(Arc::new),
        guard: Guard::new(&file.users, file.token.as_deref())?,
        headers: file.headers.clone(),
    })
}

fn look(path: &Path) -> Option<Seen> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.mtime(), metadata.mtime_nsec(), metadata.len(), metadata.ino()))
}

impl Settings {
    /// Adds the configured fields to those of an answer, which keeps its own.
    pub fn complete(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

/// The text of a small file.
fn text(what: &'static str, path: &Path) -> Result<String, WebError> {
    let unreadable = |source| WebError::Unreadable { what, path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(unreadable)?;
    let length = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(length).is_ok_and(|length| length <= LONGEST) {
        return Ok(text);
    }
    Err(unreadable(io::Error::new(io::ErrorKind::FileTooLarge, "longer than 1 MiB")))
}

#[cfg(test)]
mod tests;
