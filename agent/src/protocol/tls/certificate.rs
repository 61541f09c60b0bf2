//! Certificates that an end shows in the clear: the `Certificate` message (RFC 5246 §7.4.2) and X.509 (RFC 5280).

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use tls_parser::{TlsMessageHandshake, parse_tls_handshake_msg_certificate};
use x509_parser::{
    der_parser::asn1_rs::{Any, Tag},
    extensions::GeneralName,
    prelude::{FromDer as _, X509Certificate},
    x509::{AttributeTypeAndValue, X509Name},
};

use super::{Certificate, Certificates};

/// The most certificates that are read of a chain; those in use have up to five.
const MAX_CHAIN: usize = 10;

/// The most alternative names that are kept of a certificate. Certificate authorities stop at 100, some at 250.
const MAX_NAMES: usize = 128;

/// The longest text that is kept of a certificate, in bytes; what is longer is left out, a name cut.
const MAX_TEXT: usize = 1024;

/// Reads the body of a `Certificate` message. The chain ends before a certificate that cannot be read.
#[must_use]
pub fn certificates(body: &[u8]) -> Certificates {
    let Ok((_, TlsMessageHandshake::Certificate(message))) = parse_tls_handshake_msg_certificate(body) else {
        return Certificates::Shown(Vec::new());
    };
    if message.cert_chain.is_empty() {
        return Certificates::None;
    }
    let chain = message.cert_chain.iter().take(MAX_CHAIN);
    Certificates::Shown(chain.map_while(|certificate| read(certificate.data)).collect())
}

fn read(der: &[u8]) -> Option<Certificate> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let validity = certificate.validity();
    let alternative_names = certificate.subject_alternative_name().ok().flatten();
    let names = alternative_names.iter().flat_map(|extension| &extension.value.general_names);
    Some(Certificate {
        subject: name(certificate.subject()),
        issuer: name(certificate.issuer()),
        alternative_names: names.filter_map(alternative_name).take(MAX_NAMES).collect(),
        serial: serial(certificate.raw_serial()),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// The number's bytes, without the zero that only says that it is positive.
fn serial(bytes: &[u8]) -> Box<str> {
    let digits = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    digits.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")).into()
}

fn alternative_name(name: &GeneralName<'_>) -> Option<Box<str>> {
    let text: Box<str> = match name {
        GeneralName::DNSName(text) | GeneralName::RFC822Name(text) | GeneralName::URI(text) => (*text).into(),
        GeneralName::IPAddress(bytes) => {
            if let Ok(bytes) = <[u8; 4]>::try_from(*bytes) {
                Ipv4Addr::from(bytes).to_string().into()
            } else {
                Ipv6Addr::from(<[u8; 16]>::try_from(*bytes).ok()?).to_string().into()
            }
        }
        _ => return None,
    };
    let fit = !text.is_empty() && text.len() <= MAX_TEXT && !text.chars().any(char::is_control);
    fit.then_some(text)
}

/// A distinguished name as RFC 4514 writes it: the last part first.
fn name(name: &X509Name<'_>) -> Box<str> {
    let mut text = String::new();
    let mut parts: Vec<_> = name.iter_rdn().collect();
    parts.reverse();
    for part in parts {
        for (place, attribute) in part.iter().enumerate() {
            let between = match (place, text.is_empty()) {
                (_, true) => "",
                (0, _) => ",",
                _ => "+",
            };
            let begins = text.len();
            text += between;
            add_attribute(&mut text, attribute);
            if text.len() > MAX_TEXT {
                text.truncate(begins);
                return text.into();
            }
        }
    }
    text.into()
}

fn add_attribute(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let oid = attribute.attr_type().to_id_string();
    let value = attribute.attr_value();
    // RFC 4514 §3, and the others that certificates have by name.
    let short = match oid.as_str() {
        "2.5.4.3" => "CN",
        "2.5.4.4" => "SN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "title",
        "2.5.4.15" => "businessCategory",
        "2.5.4.17" => "postalCode",
        "2.5.4.42" => "givenName",
        "2.5.4.97" => "organizationIdentifier",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "emailAddress",
        _ => "",
    };
    match characters(value).filter(|_| !short.is_empty()) {
        Some(characters) => {
            *text += short;
            text.push('=');
            add_escaped(text, &characters);
        }
        // RFC 4514 §2.4: of a type without a name, the encoded value.
        None => {
            *text += if short.is_empty() { &oid } else { short };
            *text += "=#";
            let length = value.data.len();
            let header =
                if length < 0x80 { vec![low_byte(value.header.tag().0), low_byte(length)] } else { Vec::new() };
            for byte in header.iter().chain(value.data.iter().take(MAX_TEXT)) {
                let _ = write!(text, "{byte:02x}");
            }
        }
    }
}

fn low_byte(number: impl TryInto<u8>) -> u8 {
    number.try_into().unwrap_or(u8::MAX)
}

/// A string of any of the types of X.520.
fn characters(value: &Any<'_>) -> Option<String> {
    let bytes = value.data;
    match value.header.tag() {
        Tag::BmpString => {
            let units = bytes.chunks_exact(2).filter_map(|pair| Some(u16::from_be_bytes(pair.try_into().ok()?)));
            Some(char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        Tag::UniversalString => {
            let codes = bytes.chunks_exact(4).filter_map(|code| Some(u32::from_be_bytes(code.try_into().ok()?)));
            Some(codes.map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
        }
        // In practice Latin-1.
        Tag::T61String => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::VisibleString | Tag::NumericString => {
            Some(String::from_utf8_lossy(bytes).into_owned())
        }
        _ => None,
    }
}

/// RFC 4514 §2.4.
fn add_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (place, character) in value.chars().enumerate().take(MAX_TEXT) {
        match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => text.extend(['\\', character]),
            ' ' if place == 0 || place == last => *text += "\\ ",
            '#' if place == 0 => *text += "\\#",
            control if control.is_control() => {
                for byte in control.encode_utf8(&mut [0; 4]).bytes() {
                    let _ = write!(text, "\\{byte:02x}");
                }
            }
            other => text.push(other),
        }
    }
}
