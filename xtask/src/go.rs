//! The Go programs of `tests/`: each directory there with a `go.mod` is one.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::process::{command, run, say};
use crate::workspace;

/// `go`, in the directory of the program `name`.
pub fn go(name: &str) -> Command {
    let mut go = command("go");
    go.current_dir(workspace::root().join("tests").join(name));
    // Nothing that happens to be set may change the modules that go.sum names.
    go.env("CGO_ENABLED", "0").env("GOWORK", "off");
    // What debuggers need is left out of the program, and to write it takes an eighth of the time.
    go.env("GOFLAGS", "-mod=readonly -buildvcs=false -gcflags=all=-dwarf=false");
    go
}

/// Builds the program `name`, which is `what`; what is built already takes a second.
///
/// # Errors
/// When it does not compile.
pub fn built(name: &str, what: &str) -> Result<PathBuf> {
    let program = workspace::scratch(name)?.join(name);
    let _turn = workspace::turn(name)?;
    if !program.is_file() {
        say(&format!("compiling {what}, some minutes the first time (go build)"));
    }
    let mut build = go(name);
    build.args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&program).arg(".");
    run(&mut build).with_context(|| {
        format!("cannot compile {what}; it takes the Go that tests/{name}/go.mod names, or a newer one")
    })?;
    Ok(program)
}
