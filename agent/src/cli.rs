//! The command line: the verbs and their arguments.
//!
//! The flags that are settings are not declared here; they come from the table that the environment and the configuration
//! file use as well ([`Setting::all`]).

use std::{marker::PhantomData, path::PathBuf, time::Duration};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueHint,
    builder::PossibleValuesParser,
};

use crate::{
    command::{cardinality, top},
    config::{Choice, Given, Print, Setting, Task, value},
};

/// Exit status for a command line or configuration that is not valid; clap's own, too.
pub const EXIT_USAGE: u8 = 2;

/// Requests, errors and durations of every process on this host, from its sockets' packets.
#[derive(Debug, Parser)]
#[command(name = "redtap", version, about, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

const AFTER_HELP: &str = "\
`redtap check` says what works on this host, and what to do about what does not.
`redtap run --print pretty` shows requests as they are seen; http://127.0.0.1:9440/metrics has the metrics.";

const SETTINGS_HELP: &str = "\
Every setting can also be given as an environment variable (--capture-length as REDTAP_CAPTURE_LENGTH) or in the \
YAML file that --config names (capture_length: 4KiB). A flag is stronger than the environment, the environment \
stronger than the file. Sizes are 4096, 4KiB, 2MiB; durations 1500ms, 30s, 5m.";

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Watch this host and serve its metrics
    ///
    /// Needs root, or CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON. Runs until SIGINT or SIGTERM, then detaches everything.
    Run(Run),
    /// Say what works on this host and what is lost without the rest
    ///
    /// Exits with 0 if everything works, 1 if not.
    Check(Check),
    /// Write the raw kernel records to a file
    ///
    /// The file holds the heads of messages as they passed, secrets included: keep it as you would keep them.
    Record(Record),
    /// Run the user-space pipeline over recorded records; needs no privileges
    Replay(Replay),
    /// Show the services of a running agent in a live table
    ///
    /// Reads the agent's HTTP address; needs no privileges.
    Top(top::Arguments),
    /// Say which metrics and labels cost the most series, and what leaving them out would save
    ///
    /// Reads the agent's HTTP address, or a page in a file; needs no privileges.
    Cardinality(cardinality::Arguments),
}

/// `redtap run`
#[derive(Debug, Args)]
#[command(after_help = SETTINGS_HELP)]
pub struct Run {
    /// Settings.
    #[command(flatten)]
    pub settings: Flags<OfRun>,
}

/// `redtap check`
#[derive(Debug, Args)]
#[command(after_help = SETTINGS_HELP)]
pub struct Check {
    /// Print a JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: Flags<OfCheck>,
}

/// `redtap record`
#[derive(Debug, Args)]
#[command(after_help = SETTINGS_HELP)]
pub struct Record {
    /// File to write; one that exists is replaced
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// Stop after this time [default: at SIGINT or SIGTERM]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Settings.
    #[command(flatten)]
    pub settings: Flags<OfRecord>,
}

/// `redtap replay`
#[derive(Debug, Args)]
#[command(after_help = SETTINGS_HELP)]
pub struct Replay {
    /// File that `redtap record` wrote
    #[arg(value_hint = ValueHint::FilePath)]
    pub file: PathBuf,
    /// How to print the exchanges
    #[arg(long, value_name = "FORM", default_value = "json", value_parser = printed())]
    pub print: Print,
    /// Print no exchange, but how fast they came out
    #[arg(long)]
    pub bench: bool,
    /// Settings.
    #[command(flatten)]
    pub settings: Flags<OfReplay>,
}

/// The flags that are settings, and `--config`, of the task `T`.
#[derive(Debug)]
pub struct Flags<T> {
    /// Those that were given.
    pub given: Given,
    task: PhantomData<T>,
}

/// A task as a type, for [`Flags`].
pub trait OfTask {
    /// The task.
    const TASK: Task;
}

macro_rules! tasks {
    ($($name:ident = $task:ident;)*) => {
        $(
            #[doc = concat!("[`Task::", stringify!($task), "`]")]
            #[derive(Debug)]
            pub enum $name {}

            impl OfTask for $name {
                const TASK: Task = Task::$task;
            }
        )*
    };
}

tasks! {
    OfRun = Run;
    OfCheck = Check;
    OfRecord = Record;
    OfReplay = Replay;
}

impl<T: OfTask> Args for Flags<T> {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_hint(ValueHint::FilePath)
            .value_parser(clap::value_parser!(PathBuf))
            .help("YAML file with settings [environment: REDTAP_CONFIG]");
        let settings = Setting::all().filter(|setting| setting.tasks.contains(&T::TASK));
        let flags = settings.map(|setting| {
            let flag = Arg::new(setting.key).long(setting.flag()).action(ArgAction::Set);
            let help = match setting.default {
                Some(default) => format!("{} [default: {default}]", setting.help),
                None => setting.help.to_owned(),
            };
            match setting.value_name {
                Some(name) => flag.value_name(name).help(help),
                None => flag
                    .value_name("true|false")
                    .num_args(0..=1)
                    .require_equals(true)
                    .default_missing_value("true")
                    .help(help),
            }
        });
        command.args(flags).arg(config)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: OfTask> FromArgMatches for Flags<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let settings = Setting::all().filter(|setting| setting.tasks.contains(&T::TASK));
        let settings =
            settings.filter_map(|setting| Some((setting, matches.get_one::<String>(setting.key)?.clone())));
        let given = Given { settings: settings.collect(), config: matches.get_one::<PathBuf>("config").cloned() };
        Ok(Self { given, task: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(1)..=Duration::from_secs(7 * 86_400);
    value::duration(text, range).map_err(|rejected| match rejected.nearest {
        Some(nearest) => format!("expected {}; the nearest is {nearest:?}", rejected.expected),
        None => format!("expected {}", rejected.expected),
    })
}

fn printed() -> impl clap::builder::TypedValueParser<Value = Print> {
    use clap::builder::TypedValueParser as _;
    let words = [Print::Json, Print::Pretty].map(Choice::word);
    PossibleValuesParser::new(words).try_map(|word| value::choice(&word).map_err(|rejected| rejected.expected))
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, error::ErrorKind};

    use super::*;
    use crate::config::Config;

    fn run(arguments: &[&str]) -> Config {
        let cli = Cli::try_parse_from(["redtap", "run"].iter().chain(arguments)).unwrap();
        let Verb::Run(run) = cli.verb else { panic!("run") };
        Config::load(&run.settings.given, []).unwrap()
    }

    #[test]
    fn the_command_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_setting_has_a_flag_of_run() {
        let command = Cli::command();
        let run = command.find_subcommand("run").unwrap();
        for setting in Setting::all() {
            let flag = run.get_arguments().find(|argument| argument.get_long() == Some(setting.flag().as_str()));
            assert!(flag.is_some(), "{}", setting.key);
        }
    }

    #[test]
    fn flags_become_settings() {
        let default = Config::default;
        for (arguments, expected) in [
            ([].as_slice(), default()),
            (&["--timings"], Config { timings: true, ..default() }),
            (&["--timings=false", "--max-flows", "100"], Config { max_flows: 100, ..default() }),
            (&["--timings", "--print", "json"], Config { timings: true, print: Print::Json, ..default() }),
            (&["--service-graph=false", "--ja4"], Config { service_graph: false, ja4: true, ..default() }),
            (&["--max-edges", "5", "--max-names=6"], Config { max_edges: 5, max_names: 6, ..default() }),
            (&["--capture-length=4KiB"], Config { capture_length: 4096, ..default() }),
            (&["--cgroup", "/a"], Config { cgroup: Some(PathBuf::from("/a")), ..default() }),
        ] {
            assert_eq!(run(arguments), expected, "{arguments:?}");
        }
    }

    #[test]
    fn verbs_and_their_arguments() {
        for (line, expected) in [
            ("redtap check --json", Ok(())),
            ("redtap record file --duration 30s --capture-length 4KiB", Ok(())),
            ("redtap replay file --print pretty --bench --max-flows 100", Ok(())),
            ("redtap cardinality --url unix:/a --json --top 5", Ok(())),
            ("redtap cardinality page.txt --svg", Ok(())),
            ("redtap cardinality page.txt --url http://a", Err(ErrorKind::ArgumentConflict)),
            ("redtap cardinality --svg --json", Err(ErrorKind::ArgumentConflict)),
            ("redtap cardinality --top 0", Err(ErrorKind::ValueValidation)),
            ("redtap", Err(ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand)),
            ("redtap --version", Err(ErrorKind::DisplayVersion)),
            ("redtap run --help", Err(ErrorKind::DisplayHelp)),
            ("redtap rnu", Err(ErrorKind::InvalidSubcommand)),
            ("redtap run --lisen a", Err(ErrorKind::UnknownArgument)),
            ("redtap run --timings --timings", Err(ErrorKind::ArgumentConflict)),
            ("redtap run stray", Err(ErrorKind::UnknownArgument)),
            ("redtap record", Err(ErrorKind::MissingRequiredArgument)),
            ("redtap record file --listen 127.0.0.1:1", Err(ErrorKind::UnknownArgument)),
            ("redtap record file --duration 30", Err(ErrorKind::ValueValidation)),
            ("redtap replay file --print off", Err(ErrorKind::InvalidValue)),
        ] {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert_eq!(parsed.map(drop).map_err(|error| error.kind()), expected, "{line}");
        }
    }
}
