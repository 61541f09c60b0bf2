//! What an interpreted program is called, by its command line: the name of the script, module, archive or class that
//! the interpreter was given.
//!
//! The bias: a name that says little (`app.py`, `server.js`, `Main`) gives way to the directory, package or module
//! around it, and where that says little too there is none. Interpreters know far more ways to be called than are read
//! here; what is not understood gives no name.

mod names;
mod options;

use self::{
    names::{named, of_archive, of_class, of_module, of_path, telling},
    options::{DOTNET, Found, JAVA, NODE, PERL, PHP, PYTHON, RUBY, Syntax},
};
use super::{Language, base_name, by_name, carried, interpreter, is_carrier};

/// Bytes of a command line looked at; class paths are long.
const MAX_COMMAND_LINE: usize = 64 << 10;

/// Arguments looked at.
const MAX_ARGUMENTS: usize = 512;

/// The name of what an interpreter runs, for a service that nobody has named: from the path of the interpreter's
/// executable and its command line (arguments ended by NUL, as in `/proc/PID/cmdline`).
///
/// Letters, digits, `.`, `-` and `_`, at most 64 bytes. `None` when in doubt, and for programs that are not
/// interpreted: the executable's own name then serves. Nothing else of the command line, which may hold secrets, is
/// given out. A last argument without its NUL was cut and does not count, unless it is the only one: a title.
#[must_use]
pub fn script_name(executable: &[u8], command_line: &[u8]) -> Option<String> {
    let language = by_name(executable, command_line)?;
    let own = if is_carrier(base_name(executable)) { carried(command_line)?.0 } else { 0 };
    let text = command_line.get(..MAX_COMMAND_LINE).unwrap_or(command_line);
    let is_cut = text.last() != Some(&0);
    let text = String::from_utf8_lossy(text);
    let mut arguments: Vec<&str> = text.split('\0').skip(own).take(MAX_ARGUMENTS).collect();
    if is_cut && arguments.len() > 1 {
        arguments.pop();
    }
    while arguments.last().is_some_and(|last| last.is_empty()) {
        arguments.pop();
    }
    let (&first, mut rest) = arguments.split_first()?;
    let words: Vec<&str>;
    let mut own_name = last_component(first);
    if rest.is_empty() {
        if let Some(name) = of_title(first) {
            return Some(name);
        }
        // A title may also be a command line in one piece: `node /srv/shop/server.js`.
        words = first.split(' ').collect();
        (own_name, rest) = words.split_first().map(|(word, rest)| (last_component(word), rest))?;
        interpreter(own_name.as_bytes())?;
    }
    match (language, rest) {
        (Language::Python, _) if own_name.starts_with("uwsgi") => uwsgi(rest),
        (Language::Python, _) => python(rest),
        (Language::Node, ["run" | "serve", rest @ ..]) if matches!(own_name, "deno" | "bun") => node(rest),
        (Language::Node, _) => node(rest),
        (Language::Ruby, _) => ruby(rest),
        (Language::Java, _) => java(rest),
        (Language::Php, _) => operand(rest, &PHP).and_then(|(script, _)| of_path(script)),
        (Language::Perl, _) => perl(rest),
        (Language::DotNet, _) => dotnet(rest),
        (Language::Erlang, _) => erlang(rest),
        _ => None,
    }
}

fn last_component(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name within a title that a server writes over its arguments, as `php-fpm: pool www`.
fn of_title(title: &str) -> Option<String> {
    if let Some(pool) = title.strip_prefix("php-fpm: pool ") {
        return named(pool);
    }
    if let Some(rest) = title.strip_prefix("sidekiq ") {
        return rest.split(' ').nth(1).and_then(telling);
    }
    if let Some(rest) = title.strip_prefix("Passenger RubyApp: ") {
        return rest.split(" (").next().and_then(of_path);
    }
    let tag = |title: &str| Some(title.rsplit_once('[')?.1.strip_suffix(']')?.to_owned());
    if title.starts_with("puma ") || title.starts_with("puma: ") {
        return tag(title).and_then(|name| telling(&name));
    }
    // Of an application that was given no name, gunicorn shows the module.
    title.strip_prefix("gunicorn: ").and_then(tag).and_then(|module| of_module(before_colon(&module)))
}

/// The first argument that is no option, and those after it.
fn operand<'a, 'b>(arguments: &'b [&'a str], syntax: &Syntax) -> Option<(&'a str, &'b [&'a str])> {
    match syntax.find(arguments)? {
        Found::Operand(operand, rest) => Some((operand, rest)),
        Found::Program(..) => None,
    }
}

/// Servers and tools of Python that are given the application.
const PYTHON_RUNNERS: [&str; 12] = [
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress",
    "waitress-serve",
    "celery",
    "flask",
    "fastapi",
    "streamlit",
    "debugpy",
];

fn python(arguments: &[&str]) -> Option<String> {
    let (program, rest, by_module) = match PYTHON.find(arguments)? {
        Found::Operand(script, rest) => (script, rest, false),
        Found::Program(module, rest) => (module, rest, true),
    };
    let runner = last_component(program);
    if PYTHON_RUNNERS.contains(&runner) {
        // What gunicorn calls a name is a switch to others.
        let name = value(rest, &["-n", "--name"]).filter(|_| runner == "gunicorn");
        return name.and_then(named).or_else(|| python_application(rest));
    }
    if by_module { of_module(program) } else { of_path(program) }
}

/// The application in the arguments of a server: named by an option, as `module:object`, or as a file.
fn python_application(arguments: &[&str]) -> Option<String> {
    if let Some(name) = value(arguments, &["-A", "--app"]).and_then(of_application) {
        return Some(name);
    }
    let is_it = |argument: &&&str| {
        let is_file = argument.ends_with(".py") && !argument.starts_with('-');
        is_file || is_application(argument) || argument.ends_with(".wsgi") || argument.ends_with(".asgi")
    };
    arguments.iter().filter(is_it).find_map(|argument| of_application(argument))
}

/// Of `module:object` or a file.
fn of_application(text: &str) -> Option<String> {
    let module = before_colon(text);
    if module.ends_with(".py") { of_path(module) } else { of_module(module) }
}

/// `package.module:object`, also `package.module:factory()`.
fn is_application(argument: &str) -> bool {
    let Some((module, object)) = argument.split_once(':') else { return false };
    let is_name = |name: &str| {
        name.starts_with(|first: char| first.is_alphabetic() || first == '_')
            && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
    };
    let object = object.split_once('(').map_or(object, |(object, _)| object);
    module.split('.').all(is_name) && is_name(object)
}

fn before_colon(text: &str) -> &str {
    text.split_once(':').map_or(text, |(before, _)| before)
}

/// The value of an option, in the next argument or after `=`.
fn value<'a>(arguments: &[&'a str], names: &[&str]) -> Option<&'a str> {
    arguments.iter().zip(arguments.iter().skip(1).map(Some).chain([None])).find_map(|(argument, next)| {
        if names.contains(argument) {
            return next.copied();
        }
        let (name, value) = argument.split_once('=')?;
        names.contains(&name).then_some(value)
    })
}

fn uwsgi(arguments: &[&str]) -> Option<String> {
    if let Some(module) = value(arguments, &["-w", "--module", "--wsgi"]) {
        return of_module(before_colon(module));
    }
    if let Some(file) = value(arguments, &["--wsgi-file", "--file"]) {
        return of_path(file);
    }
    // Distributions give their own defaults first and the application's configuration last.
    let name = |argument: &&str| last_component(argument).strip_suffix(".ini").map(str::to_owned);
    arguments.iter().rev().find_map(name).and_then(|name| telling(&name))
}

/// Programs of Node.js that run the script that follows.
const NODE_RUNNERS: [&str; 5] = ["ts-node", "ts-node-dev", "tsx", "nodemon", "babel-node"];

/// Programs that start others, which are processes of their own.
const LAUNCHERS: [&str; 10] =
    ["npm", "npx", "npm-cli.js", "npx-cli.js", "yarn", "yarn.js", "pnpm", "pnpm.cjs", "corepack.js", "pm2"];

fn node(arguments: &[&str]) -> Option<String> {
    let (script, rest) = operand(arguments, &NODE)?;
    let options = arguments.get(..arguments.len().saturating_sub(rest.len() + 1)).unwrap_or_default();
    if let Some(title) = value(options, &["--title"]).and_then(named) {
        return Some(title);
    }
    let tool = last_component(script);
    if LAUNCHERS.contains(&tool) {
        return None;
    }
    if NODE_RUNNERS.contains(&tool) {
        return operand(rest, &NODE).and_then(|(script, _)| of_path(script));
    }
    of_path(script)
}

fn ruby(arguments: &[&str]) -> Option<String> {
    let (script, rest) = operand(arguments, &RUBY)?;
    match (last_component(script), rest) {
        ("bundle", ["exec", rest @ ..]) => operand(rest, &RUBY).and_then(|(script, _)| of_path(script)),
        ("bundle", _) => None,
        _ => of_path(script),
    }
}

fn perl(arguments: &[&str]) -> Option<String> {
    let (script, rest) = operand(arguments, &PERL)?;
    let is_runner = matches!(last_component(script), "plackup" | "starman" | "hypnotoad" | "morbo" | "twiggy");
    if !is_runner {
        return of_path(script);
    }
    let is_application = |argument: &&&str| argument.ends_with(".psgi") || argument.ends_with(".pl");
    rest.iter().find(is_application).and_then(|path| of_path(path))
}

fn java(arguments: &[&str]) -> Option<String> {
    match JAVA.find(arguments)? {
        Found::Operand(source, _) if source.ends_with(".java") => of_path(source),
        Found::Operand(class, _) => of_class(class),
        Found::Program(what, _) if what.ends_with(".jar") || what.ends_with(".war") => of_archive(what),
        Found::Program(module, _) => of_class(last_component(module)),
    }
}

fn dotnet(arguments: &[&str]) -> Option<String> {
    let arguments = match arguments {
        ["exec", rest @ ..] => rest,
        _ => arguments,
    };
    let (assembly, _) = operand(arguments, &DOTNET)?;
    let is_assembly = assembly.ends_with(".dll") || assembly.ends_with(".exe");
    is_assembly.then(|| of_path(assembly)).flatten()
}

/// The name of the node without its host; the one of a remote shell is made up.
fn erlang(arguments: &[&str]) -> Option<String> {
    let node = value(arguments, &["-sname", "-name"])?;
    let name = node.split('@').next().filter(|name| !name.starts_with("rem-") && *name != "nonode")?;
    named(name)
}

#[cfg(test)]
mod tests;
