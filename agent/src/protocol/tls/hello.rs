//! What a client offers and a server chooses: `ClientHello` and `ServerHello` (RFC 8446 §4.1, RFC 5246 §7.4.1).

use tls_parser::{
    SNIType, TlsCipherKx, TlsCipherSuite, TlsExtension, parse_tls_client_hello_extension,
    parse_tls_extension_unknown, parse_tls_handshake_client_hello, parse_tls_handshake_server_hello,
    parse_tls_server_hello_extension,
};

use super::{fingerprint, names::TLS_1_3};

/// The most cipher suites that are kept of an offer: more than the registry has.
const MAX_CIPHERS: usize = 512;

/// The most versions that are kept of an offer.
const MAX_VERSIONS: usize = 16;

/// The most protocols that are kept of an offer.
const MAX_PROTOCOLS: usize = 16;

/// The longest name of a host (RFC 1035 §2.3.4).
const MAX_HOST_NAME: usize = 253;

/// The `random` of a `ServerHello` that asks for another `ClientHello` (RFC 8446 §4.1.3).
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2,
    0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// What a client offers.
#[derive(Debug, Default)]
pub struct Offer {
    /// The host it wants to speak to.
    pub server_name: Option<Box<str>>,
    /// ALPN.
    pub protocols: Vec<Box<str>>,
    /// Newest first.
    pub versions: Vec<u16>,
    /// In its order.
    pub ciphers: Vec<u16>,
    /// It sends data before the server has answered (RFC 8446 §4.2.10).
    pub early_data: bool,
    /// JA4, if asked for.
    pub fingerprint: Option<Box<str>>,
}

/// What a server chooses.
#[derive(Debug)]
pub struct Choice {
    /// Version.
    pub version: u16,
    /// Cipher suite.
    pub cipher: u16,
    /// Group, where it is told.
    pub group: Option<u16>,
    /// ALPN, in the clear.
    pub protocol: Option<Box<str>>,
    /// The client's key is taken (RFC 8446 §4.2.11).
    pub pre_shared_key: bool,
    /// It wants another `ClientHello`.
    pub retry: bool,
}

/// Values that mean nothing, and test that they are ignored (RFC 8701).
#[must_use]
pub const fn is_grease(value: u16) -> bool {
    let [high, low] = value.to_be_bytes();
    high == low && low & 0x0f == 0x0a
}

/// Reads the body of a `ClientHello`; `None`: it is none.
#[must_use]
pub fn offer(body: &[u8], with_fingerprint: bool) -> Option<Offer> {
    let (_, hello) = parse_tls_handshake_client_hello(body).ok()?;
    let ciphers: Vec<u16> = hello.ciphers.iter().map(|cipher| cipher.0).filter(|id| !is_grease(*id)).collect();
    let mut offer = Offer::default();
    let mut seen = fingerprint::Seen { ciphers: &ciphers, ..Default::default() };
    for (kind, whole) in extensions(hello.ext.unwrap_or_default()).filter(|(kind, _)| !is_grease(*kind)) {
        seen.extensions.push(kind);
        match parse_tls_client_hello_extension(whole) {
            Ok((_, TlsExtension::SNI(names))) => {
                let mut hosts = names.into_iter().filter(|(kind, _)| *kind == SNIType::HostName);
                offer.server_name = hosts.next().and_then(|(_, name)| host_name(name));
            }
            Ok((_, TlsExtension::ALPN(protocols))) => {
                seen.protocol = protocols.first().copied();
                let named = protocols.into_iter().filter(|name| !is_grease_protocol(name));
                offer.protocols = named.filter_map(text).take(MAX_PROTOCOLS).collect();
            }
            Ok((_, TlsExtension::SupportedVersions(versions))) => {
                offer.versions = versions.into_iter().map(|version| version.0).collect();
            }
            Ok((_, TlsExtension::SignatureAlgorithms(algorithms))) => seen.signatures = algorithms,
            Ok((_, TlsExtension::EarlyData(_))) => offer.early_data = true,
            _ => {}
        }
    }
    offer.versions.retain(|version| !is_grease(*version));
    if offer.versions.is_empty() {
        offer.versions.push(hello.version.0);
    }
    offer.versions.sort_unstable_by(|one, other| other.cmp(one));
    offer.versions.dedup();
    offer.versions.truncate(MAX_VERSIONS);
    if with_fingerprint {
        seen.version = offer.versions.first().copied().unwrap_or_default();
        offer.fingerprint = Some(seen.ja4());
    }
    offer.ciphers = ciphers;
    offer.ciphers.truncate(MAX_CIPHERS);
    Some(offer)
}

/// Reads the body of a `ServerHello` or of a `HelloRetryRequest`; `None`: it is none.
#[must_use]
pub fn choice(body: &[u8]) -> Option<Choice> {
    let (_, hello) = parse_tls_handshake_server_hello(body).ok()?;
    let mut choice = Choice {
        version: hello.version.0,
        cipher: hello.cipher.0,
        group: None,
        protocol: None,
        pre_shared_key: false,
        retry: hello.random == RETRY,
    };
    for (_, whole) in extensions(hello.ext.unwrap_or_default()) {
        match parse_tls_server_hello_extension(whole) {
            Ok((_, TlsExtension::SupportedVersions(versions))) => {
                choice.version = versions.first().map_or(choice.version, |version| version.0);
            }
            Ok((_, TlsExtension::KeyShare([high, low, ..]))) => {
                choice.group = Some(u16::from_be_bytes([*high, *low]))
            }
            Ok((_, TlsExtension::PreSharedKey(_))) => choice.pre_shared_key = true,
            Ok((_, TlsExtension::ALPN(protocols))) => {
                choice.protocol = protocols.first().and_then(|name| text(name));
            }
            _ => {}
        }
    }
    Some(choice)
}

/// The group of a `ServerKeyExchange` (RFC 8422 §5.4), which depends on the cipher suite. Those of finite fields are
/// told by their numbers only, and left out.
#[must_use]
pub fn key_exchange_group(cipher: u16, body: &[u8]) -> Option<u16> {
    const NAMED_CURVE: u8 = 3;
    let suite = TlsCipherSuite::from_id(cipher)?;
    if !matches!(suite.kx, TlsCipherKx::Ecdhe | TlsCipherKx::Ecdh) {
        return None;
    }
    let mut parameters = body;
    if suite.name.contains("_PSK_") {
        // A hint at the identity comes first (RFC 5489 §2).
        let [high, low, rest @ ..] = parameters else { return None };
        parameters = rest.get(usize::from(u16::from_be_bytes([*high, *low]))..)?;
    }
    match *parameters {
        [NAMED_CURVE, high, low, ..] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}

/// Whether records are encrypted as in TLS 1.3 from the `ServerHello` on; its drafts count (0x7fNN).
#[must_use]
pub const fn is_1_3(version: u16) -> bool {
    version == TLS_1_3 || version >> 8 == 0x7f
}

/// Each extension's type and its bytes, type and length included, as far as they are whole. One that cannot be read
/// hides no other.
fn extensions(block: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (after, extension) = parse_tls_extension_unknown(rest).ok()?;
        let whole = rest.get(..rest.len() - after.len())?;
        rest = after;
        let TlsExtension::Unknown(kind, _) = extension else { return None };
        Some((kind.0, whole))
    })
}

fn is_grease_protocol(name: &[u8]) -> bool {
    matches!(name, [high, low] if is_grease(u16::from_be_bytes([*high, *low])))
}

/// A name as text, if it is printable ASCII.
fn text(name: &[u8]) -> Option<Box<str>> {
    let text = str::from_utf8(name).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.into())
}

fn host_name(name: &[u8]) -> Option<Box<str>> {
    let name = name.strip_suffix(b".").unwrap_or(name);
    if name.len() > MAX_HOST_NAME {
        return None;
    }
    text(name).map(|name| name.to_ascii_lowercase().into())
}
