//! `cluster NAME VERB`: brings a Kubernetes of one node up and down, and does things in it. `cargo xtask cluster` calls it.

use std::io::{Read as _, stdin};
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use anyhow::{Result, bail};
use redtap_tests::cluster::{Cluster, NODE};

const USAGE: &str =
    "cluster NAME up | down | guard | kubectl ARGUMENT… | enter PROGRAM ARGUMENT… | image NAME [FOLDER]";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let [name, arguments @ ..] = arguments.as_slice() else { bail!(USAGE) };
    let cluster = Cluster::called(name)?;
    match arguments {
        ["up"] => {
            cluster.up()?;
            println!("{NODE} is ready; logs: {}", cluster.file("log").display());
            Ok(())
        }
        ["down"] => cluster.down(),
        // Whoever holds the other end of the input is gone when it ends.
        ["guard"] => {
            stdin().read_to_end(&mut Vec::new())?;
            cluster.down()
        }
        ["kubectl", arguments @ ..] => Err(cluster.kubectl().args(arguments).exec().into()),
        ["enter", program, arguments @ ..] => Err(cluster.on_node(program)?.args(arguments).exec().into()),
        ["image", image] => cluster.make_image(image, None),
        ["image", image, folder] => cluster.make_image(image, Some(Path::new(folder))),
        _ => bail!(USAGE),
    }
}
