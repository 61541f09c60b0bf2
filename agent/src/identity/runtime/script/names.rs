//! Names of programs out of paths, modules and classes.

/// The longest name given, in bytes.
const MAX_NAME: usize = 64;

/// Words that programs, directories and modules are called by everywhere, so that they tell no service from another:
/// where a program starts, what role it has, where a framework, an image or a host puts it. In lower case, without
/// versions.
#[rustfmt::skip]
const GENERIC: &[&str] = &[
    "__init__", "__main__", "api", "app", "application", "apps", "artisan", "asgi", "backend", "bin", "boot",
    "bootstrap", "build", "bundle", "celery", "cgi-bin", "classes", "cli", "cmd", "code", "config", "console",
    "core", "current", "data", "debug", "default", "deploy", "deployment", "deployments", "dist", "entry",
    "entrypoint", "etc", "exe", "frontend", "home", "htdocs", "html", "http", "index", "init", "jarlauncher",
    "java", "launch", "launcher", "lib", "lib64", "libexec", "libs", "loader", "local", "main", "mainkt", "manage",
    "mnt", "net", "node", "opt", "out", "output", "perl", "php", "production", "program", "project", "projects",
    "propertieslauncher", "public", "puma", "python", "quarkus-app", "quarkus-run", "rackup", "rails", "rake",
    "release", "releases", "root", "ruby", "run", "runner", "runtime", "sbin", "script", "scripts", "serve",
    "server", "service", "services", "share", "shared", "site", "sites", "source", "sources", "src", "srv",
    "start", "startup", "target", "tmp", "unicorn", "usr", "var", "warlauncher", "web", "work", "worker",
    "workspace", "wsgi", "www",
];

/// Endings of what interpreters run.
#[rustfmt::skip]
const EXTENSIONS: &[&str] = &[
    "cgi", "cjs", "cts", "dll", "exe", "fcgi", "jar", "java", "js", "jsx", "mjs", "mts", "pex", "phar", "php", "pl",
    "psgi", "py", "pyc", "pyz", "rb", "ru", "ts", "tsx", "war",
];

/// Directories of what others made: a program in them is a tool, and what runs is what they lie in.
const INSTALLED: &[&str] = &["node_modules", "site-packages", "dist-packages", "gems", "vendor"];

/// The name, if it is one: letters, digits, `.`, `-` and `_`, more than one and not only digits.
pub(super) fn named(name: &str) -> Option<String> {
    let is_plain = |letter: char| letter.is_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let is_name = (2..=MAX_NAME).contains(&name.len())
        && name.starts_with(char::is_alphanumeric)
        && name.chars().all(is_plain)
        && name.contains(char::is_alphabetic);
    is_name.then(|| name.to_owned())
}

/// [`named`], where the name tells one service from another.
pub(super) fn telling(name: &str) -> Option<String> {
    named(name).filter(|name| !is_generic(name))
}

fn is_generic(word: &str) -> bool {
    let word = word.trim_end_matches(|last: char| last.is_ascii_digit() || matches!(last, '.' | '-'));
    GENERIC.contains(&word.to_ascii_lowercase().as_str())
}

/// A script's name without its ending, else that of the nearest directory that tells something.
pub(super) fn of_path(path: &str) -> Option<String> {
    of_file(path, |stem| stem)
}

/// An archive's name without its version (`cart-1.2.jar`), else that of a directory.
pub(super) fn of_archive(path: &str) -> Option<String> {
    of_file(path, without_version)
}

fn of_file(path: &str, stem: impl Fn(&str) -> &str) -> Option<String> {
    let components: Vec<&str> = path.split('/').filter(|component| !matches!(*component, "" | ".")).collect();
    if let Some(at) = components.iter().position(|component| INSTALLED.contains(component)) {
        return of_installed(&components, at);
    }
    let (file, directories) = components.split_last()?;
    let name = match file.rsplit_once('.') {
        Some((name, extension)) if EXTENSIONS.contains(&extension) => name,
        _ => file,
    };
    telling(stem(name)).or_else(|| of_directories(directories))
}

/// Of what lies in a directory of installed packages: the program that has it, or of a host's own the package.
fn of_installed(components: &[&str], at: usize) -> Option<String> {
    let (around, within) = components.split_at_checked(at)?;
    let package = within.iter().skip(1).find(|component| !component.starts_with('@'));
    match around {
        ["usr", "lib"] | ["usr", "local", "lib"] => package.and_then(|package| telling(package)),
        _ => of_directories(around),
    }
}

/// The last that tells something. Who lives in a home directory is not what runs there.
fn of_directories(directories: &[&str]) -> Option<String> {
    let mut left = directories;
    while let Some((directory, before)) = left.split_last() {
        if *directory == ".." || before.last() == Some(&"home") {
            return None;
        }
        if !is_version(directory)
            && let Some(name) = telling(without_version(directory))
        {
            return Some(name);
        }
        left = before;
    }
    None
}

/// A version, a date, a commit: what deployments call their directories.
fn is_version(name: &str) -> bool {
    let digits = name.strip_prefix('v').unwrap_or(name);
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit() || b".-_".contains(&byte));
    let is_commit = name.len() >= 7 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_number || (is_commit && name.contains(|letter: char| letter.is_ascii_digit()))
}

/// `cart` of `cart-1.2-SNAPSHOT`, of `cart-v2` and of `cart_2.13-1.0`.
fn without_version(name: &str) -> &str {
    let is_start = |&(at, _): &(usize, &str)| {
        let rest = name.get(at + 1..).unwrap_or_default();
        let rest = rest.strip_prefix('v').unwrap_or(rest);
        at > 0 && rest.starts_with(|first: char| first.is_ascii_digit())
    };
    let start = name.match_indices(['-', '_']).find(is_start);
    start.and_then(|(at, _)| name.get(..at)).unwrap_or(name)
}

/// A module without the parts at its ends that tell nothing: `shop.orders` of `src.shop.orders.main`.
pub(super) fn of_module(module: &str) -> Option<String> {
    let mut parts: Vec<&str> = module.split('.').skip_while(|part| is_generic(part)).collect();
    while parts.last().is_some_and(|last| is_generic(last)) {
        parts.pop();
    }
    named(&parts.join("."))
}

/// A class without its packages, else the innermost package that tells something. The first two are somebody's domain.
pub(super) fn of_class(class: &str) -> Option<String> {
    let (name, packages) = class.rsplit_once('.').map_or((class, ""), |(packages, name)| (name, packages));
    telling(name).or_else(|| packages.split('.').skip(2).filter_map(telling).last())
}
