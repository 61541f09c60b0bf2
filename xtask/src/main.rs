//! `cargo xtask`: sets up, builds, runs, tests and checks redtap. One file a verb.

mod apt;
mod architecture;
mod bench;
mod build;
mod cluster;
mod dist;
mod fuzz;
mod go;
mod image;
mod lint;
mod manifests;
mod process;
mod real;
mod run;
mod setup;
mod soak;
mod tarball;
mod test;
mod tidy;
mod toolchain;
mod vm;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Sets up, builds, runs, tests and checks redtap.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Install what building the kernel side needs, telling what and why first.
    Setup {
        /// And all that the tests run.
        #[arg(long)]
        tests: bool,
    },
    /// Build the kernel side and the agent: target/release/redtap.
    Build {
        /// Without optimization: target/debug/redtap.
        #[arg(long)]
        debug: bool,
    },
    /// Set up, build, and run the agent as root, printing the exchanges it sees.
    Run {
        /// Flags of `redtap run`.
        #[arg(last = true)]
        args: Vec<String>,
    },
    /// Set up, build, and run every test; the ones through the kernel when root.
    Test {
        /// Run only tests whose name contains this.
        #[arg(long)]
        filter: Option<String>,
        /// Instead of all others, the ones in a real Kubernetes on this host; as root.
        #[arg(long)]
        kubernetes: bool,
        /// Only build what they take.
        #[arg(long, conflicts_with_all = ["filter", "kubernetes"])]
        no_run: bool,
    },
    /// A real Kubernetes of one node on this host, as root: for the tests, and by hand.
    Cluster {
        #[command(subcommand)]
        verb: cluster::Verb,
    },
    /// Format, clippy of both sides, dependencies' licences and sources, the repository's own rules.
    Lint,
    /// Run every fuzz target from its seed corpus.
    Fuzz {
        /// How long to run each.
        #[arg(long, default_value_t = 60)]
        seconds: u32,
        /// Compile them for speed: minutes that a long run gets back.
        #[arg(long)]
        optimized: bool,
    },
    /// Write deploy/kubernetes/redtap.yaml, the Helm chart with its default values.
    Manifests {
        /// Write nothing: test the chart, and complain if the file is another.
        #[arg(long)]
        check: bool,
    },
    /// Make the container image as an archive, without a container engine.
    Image(image::Options),
    /// Make the release: archives for amd64 and arm64, their bills of materials, and checksums.
    Dist(dist::Options),
    /// Watch a host where processes, connections, namespaces and settings come and go, and see that nothing is left; as root.
    Soak {
        /// How long.
        #[arg(long, default_value_t = 10)]
        minutes: u32,
        /// Only these kinds: connections, kept, datagrams, processes, cgroups, namespaces, settings, scrapes.
        #[arg(long, value_delimiter = ',')]
        only: Vec<String>,
    },
    /// Measure what being watched costs, against the same load unwatched; as root.
    Bench {
        /// Pairs of an unwatched and a watched run of every load.
        #[arg(long, default_value_t = 5)]
        rounds: u32,
        /// How long each run takes.
        #[arg(long, default_value_t = 4)]
        seconds: u32,
    },
    /// Boot other kernels in virtual machines, and run the end-to-end tests there.
    Vm(vm::Options),
}

fn main() -> ExitCode {
    let done = match Cli::parse().verb {
        Verb::Setup { tests } => setup::verb(tests),
        Verb::Build { debug: false } => build::release().map(drop),
        Verb::Build { debug: true } => build::debug().map(drop),
        Verb::Run { args } => run::run(args),
        Verb::Test { no_run: true, .. } => test::build(),
        Verb::Test { filter, kubernetes: false, .. } => test::test(filter.as_deref()),
        Verb::Test { filter, kubernetes: true, .. } => test::kubernetes(filter.as_deref()),
        Verb::Cluster { verb } => cluster::cluster(verb),
        Verb::Lint => lint::lint(),
        Verb::Fuzz { seconds, optimized } => fuzz::fuzz(seconds, optimized),
        Verb::Manifests { check } => manifests::manifests(check),
        Verb::Image(options) => image::image(&options).map(drop),
        Verb::Vm(options) => vm::vm(&options),
        Verb::Dist(options) => dist::dist(&options),
        Verb::Soak { minutes, only } => soak::soak(minutes, &only),
        Verb::Bench { rounds, seconds } => bench::bench(bench::Options { rounds, seconds }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            process::say(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}
