//! `confined FILTERS PROGRAM [ARGUMENT…]`: becomes PROGRAM, which then makes only the system calls that FILTERS let
//! through: a file of seccompiler's JSON, whose filters are put in place in the order of their names.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail};
use seccompiler::{apply_filter, compile_from_json};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(filters), Some(program)) = (arguments.next(), arguments.next()) else {
        bail!("two arguments, please")
    };
    let file = File::open(&filters).with_context(|| format!("cannot read {}", filters.display()))?;
    let filters: BTreeMap<_, _> = compile_from_json(file, ARCH.try_into()?)?.into_iter().collect();
    for (name, filter) in &filters {
        apply_filter(filter).with_context(|| format!("cannot put {name} in place"))?;
    }
    let error = Command::new(&program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot become {}", program.display()))
}
