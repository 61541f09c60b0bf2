//! The options of interpreters, as far as needed to find the script after them.

/// How an interpreter reads its options. One that is not listed is a switch without a value.
pub(super) struct Syntax {
    /// Letters of options that have a value, attached or in the next argument.
    valued: &'static str,
    /// Letters of options that may have a value, attached only.
    attached: &'static str,
    /// Letters of options after which there is no script: code on the command line.
    code: &'static str,
    /// Names, with their dashes, of options with a value in the next argument, unless `=` attaches it.
    valued_names: &'static [&'static str],
    /// Names of options after which there is no script.
    code_names: &'static [&'static str],
    /// Options whose value is the program, after which there are its arguments.
    program: &'static [&'static str],
    /// Whether all options are names, with one dash too.
    only_names: bool,
}

/// What an interpreter was given to run, and the arguments after it.
pub(super) enum Found<'a, 'b> {
    /// The first argument that is no option.
    Operand(&'a str, &'b [&'a str]),
    /// The value of an option for the program.
    Program(&'a str, &'b [&'a str]),
}

/// What an argument means for the next.
enum Step<'a> {
    /// It stands alone.
    Alone,
    /// The next is its value.
    TakesNext,
    /// It names the program, here or in the next argument.
    Program(Option<&'a str>),
    /// There is no script.
    Nothing,
}

impl Syntax {
    pub(super) fn find<'a, 'b>(&self, mut arguments: &'b [&'a str]) -> Option<Found<'a, 'b>> {
        while let Some((&argument, rest)) = arguments.split_first() {
            arguments = match argument {
                "" | "-" => return None,
                "--" => return rest.split_first().map(|(&operand, rest)| Found::Operand(operand, rest)),
                _ if !argument.starts_with('-') => return Some(Found::Operand(argument, rest)),
                _ => match self.step(argument) {
                    Step::Alone => rest,
                    Step::TakesNext => rest.get(1..)?,
                    Step::Program(Some(program)) => return Some(Found::Program(program, rest)),
                    Step::Program(None) => {
                        return rest.split_first().map(|(&program, rest)| Found::Program(program, rest));
                    }
                    Step::Nothing => return None,
                },
            };
        }
        None
    }

    fn step<'a>(&self, argument: &'a str) -> Step<'a> {
        if self.only_names || argument.starts_with("--") {
            let (name, value) = match argument.split_once('=') {
                Some((name, value)) => (name, Some(value)),
                None => (argument, None),
            };
            return match name {
                _ if self.code_names.contains(&name) => Step::Nothing,
                _ if self.program.contains(&name) => Step::Program(value),
                _ if self.valued_names.contains(&name) && value.is_none() => Step::TakesNext,
                _ => Step::Alone,
            };
        }
        for (at, letter) in argument.char_indices().skip(1) {
            let rest = argument.get(at + letter.len_utf8()..).unwrap_or_default();
            if self.code.contains(letter) {
                return Step::Nothing;
            } else if self.attached.contains(letter) {
                return Step::Alone;
            } else if self.names_program(letter) {
                return Step::Program(Some(rest).filter(|rest| !rest.is_empty()));
            } else if self.valued.contains(letter) {
                return if rest.is_empty() { Step::TakesNext } else { Step::Alone };
            }
        }
        Step::Alone
    }

    fn names_program(&self, letter: char) -> bool {
        self.program.iter().any(|name| name.strip_prefix('-').is_some_and(|name| name.chars().eq([letter])))
    }
}

const PLAIN: Syntax = Syntax {
    valued: "",
    attached: "",
    code: "",
    valued_names: &[],
    code_names: &[],
    program: &[],
    only_names: false,
};

/// `python --help-all`.
pub(super) const PYTHON: Syntax =
    Syntax { valued: "WXQ", code: "c", valued_names: &["--check-hash-based-pycs"], program: &["-m"], ..PLAIN };

/// `node --help`, and of V8's options those that are seen with a separate value.
pub(super) const NODE: Syntax = Syntax {
    valued: "rC",
    code: "ep",
    valued_names: &[
        "--require",
        "--import",
        "--loader",
        "--experimental-loader",
        "--conditions",
        "--env-file",
        "--env-file-if-exists",
        "--icu-data-dir",
        "--openssl-config",
        "--max-old-space-size",
        "--max-semi-space-size",
        "--stack-size",
        "--diagnostic-dir",
        "--unhandled-rejections",
        "--input-type",
        "--inspect-port",
        "--dns-result-order",
        "--redirect-warnings",
        "--disable-warning",
        "--watch-path",
        "--title",
        "--config",
        "--cwd",
    ],
    code_names: &["--eval", "--print", "--test", "--run"],
    ..PLAIN
};

/// `ruby --help`.
pub(super) const RUBY: Syntax = Syntax {
    valued: "ICEr",
    attached: "0FKTWix",
    code: "e",
    valued_names: &["--enable", "--disable", "--encoding", "--external-encoding", "--internal-encoding"],
    ..PLAIN
};

/// `php --help`. The file of `-f` is read as any other.
pub(super) const PHP: Syntax = Syntax { valued: "cdgStyz", code: "rBRFEai", ..PLAIN };

/// perlrun.
pub(super) const PERL: Syntax = Syntax { valued: "I", attached: "0CDFMVilmx", code: "eE", ..PLAIN };

/// `java --help`; agents and properties have their values attached.
pub(super) const JAVA: Syntax = Syntax {
    valued_names: &[
        "-cp",
        "-classpath",
        "--class-path",
        "-p",
        "--module-path",
        "--upgrade-module-path",
        "--add-modules",
        "--enable-native-access",
        "--add-reads",
        "--add-exports",
        "--add-opens",
        "--limit-modules",
        "--patch-module",
        "--source",
        "-d",
        "--describe-module",
    ],
    code_names: &["-version", "--version", "-help", "--help", "--list-modules"],
    program: &["-jar", "-m", "--module"],
    only_names: true,
    ..PLAIN
};

/// `dotnet --help`, of the host of an application.
pub(super) const DOTNET: Syntax = Syntax {
    valued_names: &[
        "--additionalprobingpath",
        "--additional-deps",
        "--depsfile",
        "--runtimeconfig",
        "--roll-forward",
        "--fx-version",
    ],
    ..PLAIN
};
