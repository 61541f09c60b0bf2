//! The binary: reads the command line, runs the verb, says in one sentence what went wrong.

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    look_up_names_without_plugins();
    let cli = redtap::cli::Cli::parse();
    redtap::command::execute(cli).unwrap_or_else(|error| {
        eprintln!("redtap: {error}");
        error.exit_code()
    })
}

/// Has names of hosts looked up in /etc/hosts and by DNS, which are in the binary, whatever nsswitch.conf says: the
/// services beside these are libraries of the host's own glibc, and one that is not the binary's would crash it.
fn look_up_names_without_plugins() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    {
        use std::ffi::{c_char, c_int};

        unsafe extern "C" {
            /// Names the services of a database, instead of nsswitch.conf (`nss.h`).
            fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
        }

        // SAFETY: two strings that end with a zero and are copied; there is one thread yet.
        let refused = unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) } != 0;
        if refused {
            eprintln!("redtap: names are looked up as nsswitch.conf says: {}", std::io::Error::last_os_error());
        }
    }
}
