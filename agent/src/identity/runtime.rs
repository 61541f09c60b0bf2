//! Which language a process is written in, by cheap inspection: the name of what it runs, else the executable's form.
//!
//! Neither is hot: ask once per process, and for the executable once per inode ([`Executables`]). The bias: an
//! interpreter is told by its customary name, so a program of another kind by the name of `node` is mistaken for one;
//! what is native and bears no mark of its language is C or C++.

mod elf;
mod executables;
mod script;

use std::fmt;

pub use elf::{MAX_READ, by_elf};
pub use executables::{ExecutableId, Executables};
pub use script::script_name;

/// What the kernel appends to the path of an executable that was replaced on disk (`d_path`, fs/d_path.c).
const DELETED: &[u8] = b" (deleted)";

/// Arguments in which the program is looked for that an emulator or a loader was given.
const CARRIED_WITHIN: usize = 4;

/// A language, or the family of languages of one runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Go, of the gc toolchain.
    Go,
    /// Java and what else runs on its virtual machine, or was made native by GraalVM.
    Java,
    /// JavaScript outside of browsers: Node.js, Deno, Bun.
    Node,
    /// Python.
    Python,
    /// Ruby.
    Ruby,
    /// PHP.
    Php,
    /// C# and what else runs on .NET or Mono.
    DotNet,
    /// Rust.
    Rust,
    /// C, C++, and whatever else is native and bears no mark.
    Cpp,
    /// Erlang, Elixir and what else runs on BEAM.
    Erlang,
    /// Swift.
    Swift,
    /// Perl.
    Perl,
}

impl Language {
    /// The value of `telemetry.sdk.language` (OpenTelemetry resource conventions, telemetry SDK), where `perl` has
    /// none a value of the same kind.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Go => "go",
            Self::Java => "java",
            Self::Node => "nodejs",
            Self::Python => "python",
            Self::Ruby => "ruby",
            Self::Php => "php",
            Self::DotNet => "dotnet",
            Self::Rust => "rust",
            Self::Cpp => "cpp",
            Self::Erlang => "erlang",
            Self::Swift => "swift",
            Self::Perl => "perl",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The language of an interpreted program, by the path of its executable and its command line (arguments ended by NUL,
/// as in `/proc/PID/cmdline`); `None`: no interpreter that is known, so the executable's form tells ([`by_elf`]).
///
/// The command line is a process's own to write, so it only counts where the executable is not known (an empty path)
/// or only carries another (an emulator, the dynamic loader).
#[must_use]
pub fn by_name(executable: &[u8], command_line: &[u8]) -> Option<Language> {
    let name = base_name(executable);
    if is_carrier(name) {
        return carried(command_line).map(|(_, language)| language);
    }
    if !name.is_empty() {
        return interpreter(name);
    }
    let first = command_line.split(|&byte| byte == 0).next().unwrap_or_default();
    interpreter(base_name(first)).or_else(|| by_title(first))
}

/// The interpreter that an emulator or a loader runs: the index of its argument and its language.
fn carried(command_line: &[u8]) -> Option<(usize, Language)> {
    let arguments = command_line.split(|&byte| byte == 0).take(CARRIED_WITHIN).enumerate();
    arguments.filter_map(|(index, argument)| Some((index, interpreter(base_name(argument))?))).next()
}

/// Programs that run others within themselves: user-mode emulators, and the dynamic loader called as a program.
fn is_carrier(name: &[u8]) -> bool {
    let is_emulator = name.starts_with(b"qemu-") && !name.starts_with(b"qemu-system-");
    is_emulator || name == b"rosetta" || name.starts_with(b"ld-linux") || name.starts_with(b"ld-musl-")
}

/// Interpreters by name, without versions.
const INTERPRETERS: [(&str, Language); 24] = [
    ("java", Language::Java),
    ("jsvc", Language::Java),
    ("node", Language::Node),
    ("nodejs", Language::Node),
    ("deno", Language::Node),
    ("bun", Language::Node),
    ("python", Language::Python),
    ("pypy", Language::Python),
    ("graalpy", Language::Python),
    ("uwsgi", Language::Python),
    ("uwsgi-core", Language::Python),
    ("ruby", Language::Ruby),
    ("truffleruby", Language::Ruby),
    ("php", Language::Php),
    ("php-fpm", Language::Php),
    ("php-cgi", Language::Php),
    ("lsphp", Language::Php),
    ("frankenphp", Language::Php),
    ("dotnet", Language::DotNet),
    ("mono", Language::DotNet),
    ("mono-sgen", Language::DotNet),
    ("beam", Language::Erlang),
    ("beam.smp", Language::Erlang),
    ("perl", Language::Perl),
];

/// `python`, `python3.11`, and `python3.13t` with the letter of a build.
fn interpreter(name: &[u8]) -> Option<Language> {
    let name = std::str::from_utf8(name).ok()?;
    let is_digit = |last: char| last.is_ascii_digit();
    let unlettered = name.strip_suffix(['d', 'm', 't']).filter(|rest| rest.ends_with(is_digit)).unwrap_or(name);
    let stem = unlettered.trim_end_matches(|last: char| is_digit(last) || last == '.');
    let known = |name: &str| INTERPRETERS.iter().find(|(known, _)| *known == name).map(|&(_, language)| language);
    known(name).or_else(|| known(stem).filter(|_| unlettered.ends_with(is_digit)))
}

/// Programs that write their own title over their arguments, by its beginning.
const TITLES: [(&str, Language); 12] = [
    ("puma", Language::Ruby),
    ("unicorn", Language::Ruby),
    ("unicorn_rails", Language::Ruby),
    ("sidekiq", Language::Ruby),
    ("bundle", Language::Ruby),
    ("Passenger RubyApp", Language::Ruby),
    ("Passenger NodeApp", Language::Node),
    ("PM2", Language::Node),
    ("next-server", Language::Node),
    ("gunicorn", Language::Python),
    ("[celeryd", Language::Python),
    ("php-fpm", Language::Php),
];

fn by_title(title: &[u8]) -> Option<Language> {
    let is_one = |known: &str| {
        let rest = title.strip_prefix(known.as_bytes());
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b':' | b'[')))
    };
    TITLES.iter().find(|(known, _)| is_one(known)).map(|&(_, language)| language)
}

fn base_name(path: &[u8]) -> &[u8] {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    path.rsplit(|&byte| byte == b'/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests;
