//! Handshakes of OpenSSL's client with its server, and how they are to be told.

/// Handshakes of OpenSSL's client with its server.
pub struct Story {
    /// Also, under `.example`, the name that the client asks for.
    pub name: &'static str,
    /// Arguments of the server.
    pub server: &'static [&'static str],
    /// Arguments of the client.
    pub client: &'static [&'static str],
    /// For another handshake with the same server.
    pub again: Option<&'static [&'static str]>,
    /// What each handshake is told with, beside its service, role, server's name and cipher suite.
    pub told: &'static [Labelled],
    /// The connection comes about.
    pub succeeds: bool,
}

/// Labels of a handshake.
pub type Labelled = &'static [(&'static str, &'static str)];

const STORY: Story = Story { name: "", server: &[], client: &[], again: None, told: &[TLS_1_3], succeeds: true };

const TLS_1_3: Labelled = &[("tls_protocol_version", "1.3"), ("tls_curve", "x25519"), ("tls_resumed", "false")];
const TLS_1_2: Labelled = &[("tls_protocol_version", "1.2"), ("tls_curve", "x25519"), ("tls_resumed", "false")];
const RESUMED_1_2: Labelled = &[("tls_protocol_version", "1.2"), ("tls_resumed", "true")];
const P384: Labelled = &[("tls_protocol_version", "1.3"), ("tls_curve", "secp384r1"), ("tls_resumed", "false")];

/// All of them, each for a name of its own.
pub const STORIES: &[Story] = &[
    Story { name: "plain-1-3", server: &["-tls1_3"], ..STORY },
    Story { name: "plain-1-2", server: &["-tls1_2"], told: &[TLS_1_2], ..STORY },
    Story {
        name: "old-1-1",
        server: &["-cipher", "ALL:@SECLEVEL=0", "-tls1_1"],
        client: &["-cipher", "ALL:@SECLEVEL=0", "-tls1_1"],
        told: &[&[("tls_protocol_version", "1.1"), ("tls_curve", "x25519"), ("tls_resumed", "false")]],
        ..STORY
    },
    Story {
        name: "old-1-0",
        server: &["-cipher", "ALL:@SECLEVEL=0", "-tls1"],
        client: &["-cipher", "ALL:@SECLEVEL=0", "-tls1"],
        told: &[&[("tls_protocol_version", "1.0"), ("tls_curve", "x25519"), ("tls_resumed", "false")]],
        ..STORY
    },
    Story {
        name: "alpn-1-2",
        server: &["-tls1_2", "-alpn", "h2,http/1.1"],
        client: &["-alpn", "http/1.1"],
        told: &[&[
            ("tls_protocol_version", "1.2"),
            ("tls_curve", "x25519"),
            ("tls_next_protocol", "http/1.1"),
            ("tls_resumed", "false"),
        ]],
        ..STORY
    },
    // What is agreed on is encrypted.
    Story { name: "alpn-1-3", server: &["-alpn", "h2"], client: &["-alpn", "h2"], ..STORY },
    Story {
        name: "ticket-1-2",
        server: &["-tls1_2"],
        client: &["-sess_out", "@/ticket-1-2"],
        again: Some(&["-sess_in", "@/ticket-1-2"]),
        told: &[TLS_1_2, RESUMED_1_2],
        ..STORY
    },
    Story {
        name: "session-1-2",
        server: &["-tls1_2", "-no_ticket"],
        client: &["-sess_out", "@/session-1-2"],
        again: Some(&["-sess_in", "@/session-1-2"]),
        told: &[TLS_1_2, RESUMED_1_2],
        ..STORY
    },
    Story {
        name: "ticket-1-3",
        client: &["-sess_out", "@/ticket-1-3"],
        again: Some(&["-sess_in", "@/ticket-1-3"]),
        told: &[TLS_1_3, &[("tls_protocol_version", "1.3"), ("tls_curve", "x25519"), ("tls_resumed", "true")]],
        ..STORY
    },
    Story {
        name: "client-certificate-1-2",
        server: &["-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "@/ca.pem"],
        client: &["-cert", "@/client.pem", "-key", "@/client.key"],
        told: &[TLS_1_2],
        ..STORY
    },
    Story {
        name: "client-certificate-1-3",
        server: &["-tls1_3", "-Verify", "1", "-verify_return_error", "-CAfile", "@/ca.pem"],
        client: &["-cert", "@/client.pem", "-key", "@/client.key"],
        ..STORY
    },
    Story {
        name: "retry",
        server: &["-groups", "P-384"],
        client: &["-groups", "X25519:P-384"],
        told: &[P384],
        ..STORY
    },
    Story {
        name: "long-chain-1-2",
        server: &["-tls1_2", "-cert", "@/long.pem", "-key", "@/long.key", "-cert_chain", "@/chain.pem"],
        told: &[TLS_1_2],
        ..STORY
    },
    Story {
        name: "long-chain-1-3",
        server: &["-tls1_3", "-cert", "@/long.pem", "-key", "@/long.key", "-cert_chain", "@/chain.pem"],
        ..STORY
    },
    Story {
        name: "unknown-authority-1-2",
        server: &["-tls1_2"],
        client: &["-verify_return_error", "-CAfile", "@/other.pem"],
        told: &[&[
            ("tls_protocol_version", "1.2"),
            ("tls_curve", "x25519"),
            ("tls_resumed", "false"),
            ("error_type", "alert_unknown_ca"),
        ]],
        succeeds: false,
        ..STORY
    },
    Story {
        name: "unknown-authority-1-3",
        client: &["-verify_return_error", "-CAfile", "@/other.pem"],
        told: &[&[
            ("tls_protocol_version", "1.3"),
            ("tls_curve", "x25519"),
            ("tls_resumed", "false"),
            ("error_type", "alert_unknown_ca"),
        ]],
        succeeds: false,
        ..STORY
    },
    Story {
        name: "no-client-certificate-1-2",
        server: &["-tls1_2", "-Verify", "1", "-verify_return_error", "-CAfile", "@/ca.pem"],
        told: &[&[
            ("tls_protocol_version", "1.2"),
            ("tls_curve", "x25519"),
            ("tls_resumed", "false"),
            ("error_type", "alert_handshake_failure"),
        ]],
        succeeds: false,
        ..STORY
    },
    Story {
        name: "no-shared-cipher",
        server: &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
        client: &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
        told: &[&[("error_type", "alert_handshake_failure")]],
        succeeds: false,
        ..STORY
    },
    Story {
        name: "no-shared-version",
        server: &["-tls1_3"],
        client: &["-tls1_2"],
        told: &[&[("error_type", "alert_protocol_version")]],
        succeeds: false,
        ..STORY
    },
    Story {
        name: "no-shared-protocol",
        server: &["-alpn", "h2"],
        client: &["-alpn", "http/1.1"],
        told: &[&[("error_type", "alert_no_application_protocol")]],
        succeeds: false,
        ..STORY
    },
];
