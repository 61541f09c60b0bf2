//! The stories that are told on every kernel: those of the host's end-to-end tests that need nothing but a kernel and what
//! the root file system has.

/// A story, and the tests that tell it.
#[derive(Debug)]
pub struct Story {
    /// As tables name it.
    pub name: &'static str,
    /// Tests of `tests/e2e`, one that is quick first.
    pub tests: &'static [&'static str],
}

/// All of them.
pub const STORIES: [Story; 11] = [
    Story {
        name: "HTTP/1",
        tests: &["raw::ipv6", "raw::as_told", "raw::seven_bytes_a_segment", "raw::ipv4_mapped"],
    },
    Story { name: "long heads", tests: &["raw::heads_longer_than_the_capture", "raw::heads_of_64_kib_captured"] },
    Story { name: "servers", tests: &["servers::every_client_with_every_server", "servers::pipelining_to_nginx"] },
    Story {
        name: "older",
        tests: &["raw::connections_older_than_the_agent", "tcp::live::a_connection_is_older_than_the_agent"],
    },
    Story {
        name: "TCP",
        tests: &["tcp::connections_end_and_fail_as_told", "tcp::live::bytes_are_told_while_they_pass"],
    },
    Story { name: "UDP", tests: &["udp::datagrams_are_counted_at_both_ends"] },
    Story {
        name: "TLS",
        tests: &[
            "tls::handshakes_are_told_as_openssl_tells_them",
            "tls::certificates_are_those_that_openssl_reads",
        ],
    },
    Story {
        name: "books",
        tests: &["telling::metrics_equal_the_ledger", "accounts::opaque_flows_cost_nothing_more"],
    },
    Story {
        name: "each program left out",
        tests: &["programs::each_can_be_done_without", "programs::what_is_required_or_unknown_cannot"],
    },
    Story {
        name: "start, stop, kill",
        tests: &[
            "lifecycle::sigterm_ends_it_within_a_second",
            "lifecycle::sigkill_leaves_nothing_attached",
            "lifecycle::two_agents_tell_the_same",
            "lifecycle::without_privileges_it_says_so",
        ],
    },
    // Of this host, nobody may set it.
    Story { name: "clock set", tests: &["harm::clock::the_clock_is_set_forward_and_back_under_load"] },
];
