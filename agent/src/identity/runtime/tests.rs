use proptest::{collection::vec, prelude::*};

use super::*;

/// A command line in words, with its NULs.
fn line(words: &str) -> Vec<u8> {
    words.split_ascii_whitespace().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect()
}

#[test]
fn interpreters_are_known_by_name() {
    for (executable, expected) in [
        ("/usr/bin/python3.11", Some("python")),
        ("/usr/bin/python", Some("python")),
        ("/opt/python3.13t", Some("python")),
        ("/opt/pypy3.10", Some("python")),
        ("/usr/bin/uwsgi-core", Some("python")),
        ("/usr/lib/jvm/java-17-openjdk-amd64/bin/java", Some("java")),
        ("/usr/bin/node", Some("nodejs")),
        ("/usr/bin/node (deleted)", Some("nodejs")),
        ("/opt/.bun/bin/bun", Some("nodejs")),
        ("/usr/bin/ruby3.1", Some("ruby")),
        ("/usr/sbin/php-fpm8.2", Some("php")),
        ("/usr/bin/php82", Some("php")),
        ("/usr/share/dotnet/dotnet", Some("dotnet")),
        ("/usr/bin/mono-sgen", Some("dotnet")),
        ("/usr/lib/erlang/erts-13.1/bin/beam.smp", Some("erlang")),
        ("/usr/bin/perl", Some("perl")),
        ("/usr/bin/perl5.36.0", Some("perl")),
        ("/usr/sbin/nginx", None),
        ("/usr/bin/javac", None),
        ("/usr/bin/node_exporter", None),
        ("/usr/bin/python3.11-config", None),
        ("/usr/bin/3.11", None),
        ("/", None),
    ] {
        let found = by_name(executable.as_bytes(), &line("puma x")).map(Language::as_str);
        assert_eq!(found, expected.or_else(|| (executable == "/").then_some("ruby")), "{executable}");
    }
}

#[test]
fn a_command_line_stands_in_for_what_is_not_known() {
    for (executable, command_line, expected) in [
        ("", "/usr/bin/python3 /srv/a.py", Some(Language::Python)),
        ("", "nginx", None),
        ("", "", None),
        (
            "/usr/bin/qemu-x86_64-static",
            "/usr/bin/qemu-x86_64-static /usr/bin/node /srv/a.js",
            Some(Language::Node),
        ),
        ("/usr/bin/qemu-system-x86_64", "qemu-system-x86_64 java", None),
        ("/lib64/ld-linux-x86-64.so.2", "/lib64/ld-linux-x86-64.so.2 /usr/bin/ruby a.rb", Some(Language::Ruby)),
        ("/lib/ld-musl-x86_64.so.1", "a b c d /usr/bin/ruby", None),
        ("/usr/sbin/nginx", "python3", None),
    ] {
        assert_eq!(by_name(executable.as_bytes(), &line(command_line)), expected, "{executable} {command_line}");
    }
    for (title, expected) in [
        ("puma: cluster worker 0: 12 [shop]", Some(Language::Ruby)),
        ("puma 6.4.0 (tcp://0.0.0.0:3000) [shop]", Some(Language::Ruby)),
        ("gunicorn: master [shop.wsgi:app]", Some(Language::Python)),
        ("php-fpm: pool www", Some(Language::Php)),
        ("sidekiq 7.1.0 shop [0 of 5 busy]", Some(Language::Ruby)),
        ("pumas", None),
    ] {
        assert_eq!(by_name(b"", title.as_bytes()), expected, "{title}");
    }
}

proptest! {
    #[test]
    fn no_names_break_it(executable in vec(any::<u8>(), 0..60), command_line in vec(any::<u8>(), 0..200)) {
        let _ = by_name(&executable, &command_line);
        let _ = by_name(b"", &command_line);
    }
}
