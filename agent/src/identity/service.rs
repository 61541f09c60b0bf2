//! Service names: as a process gives its own in its environment, and as small numbers for the hot path.

use std::{borrow::Cow, sync::Arc};

use hashbrown::HashMap;

/// `service.name` of what cannot be named (OpenTelemetry resource conventions, service).
pub const UNKNOWN_SERVICE: &str = "unknown_service";

/// Longest service name kept, in bytes; a longer one keeps its beginning. The name becomes a label of every series
/// of the service, and comes from a process's environment.
pub const MAX_SERVICE_NAME: usize = 256;

/// A service, as an index that is never used again for another one.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub struct ServiceId(pub u32);

impl ServiceId {
    /// The service named [`UNKNOWN_SERVICE`].
    pub const UNKNOWN: Self = Self(0);
}

/// Every service name ever asked for, up to a limit.
///
/// Names are never forgotten, since series refer to them by their [`ServiceId`]. Past the limit a new name is
/// refused and its exchanges count for [`ServiceId::UNKNOWN`]; names already known go on as before.
#[derive(Debug)]
pub(super) struct Services {
    names: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, ServiceId>,
    limit: usize,
    refused: u64,
}

impl Services {
    /// Room for `limit` names, the unknown service among them.
    pub(super) fn new(limit: usize) -> Self {
        let unknown: Arc<str> = UNKNOWN_SERVICE.into();
        Self {
            ids: HashMap::from_iter([(Arc::clone(&unknown), ServiceId::UNKNOWN)]),
            names: vec![unknown],
            limit,
            refused: 0,
        }
    }

    /// The id of `name`, cut at [`MAX_SERVICE_NAME`]; [`ServiceId::UNKNOWN`] for an empty or a refused one.
    pub(super) fn intern(&mut self, name: &str) -> ServiceId {
        let name = cut(name, MAX_SERVICE_NAME);
        if name.is_empty() {
            return ServiceId::UNKNOWN;
        }
        if let Some(&id) = self.ids.get(name) {
            return id;
        }
        let next = u32::try_from(self.names.len()).ok();
        let Some(id) = next.filter(|_| self.names.len() < self.limit).map(ServiceId) else {
            self.refused += 1;
            return ServiceId::UNKNOWN;
        };
        let name: Arc<str> = name.into();
        self.names.push(Arc::clone(&name));
        self.ids.insert(name, id);
        id
    }

    /// The name of a service; that of the unknown one for an id that was never given out.
    pub(super) fn name(&self, id: ServiceId) -> &Arc<str> {
        usize::try_from(id.0).ok().and_then(|index| self.names.get(index)).unwrap_or(&self.names[0])
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) const fn limit(&self) -> usize {
        self.limit
    }

    pub(super) const fn refused(&self) -> u64 {
        self.refused
    }
}

/// The beginning of `text`, at most `limit` bytes and whole characters.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.get(..text.floor_char_boundary(limit)).unwrap_or(text)
}

/// The service name that an environment (`NAME=value`, each ended by NUL, as in `/proc/PID/environ`) asks for.
///
/// `OTEL_SERVICE_NAME`, else `service.name` within `OTEL_RESOURCE_ATTRIBUTES` (OpenTelemetry specification, general
/// SDK configuration); an empty value is as good as none, and of a variable that occurs twice the first counts, as
/// for getenv(3). A last variable without its NUL was cut and does not count.
pub(super) fn name_from_environment(environment: &[u8]) -> Option<String> {
    let mut service_name = None;
    let mut attributes = None;
    for variable in environment.split_inclusive(|&byte| byte == 0) {
        let Some(variable) = variable.strip_suffix(&[0]) else { continue };
        if let Some(value) = variable.strip_prefix(b"OTEL_SERVICE_NAME=") {
            service_name = service_name.or(Some(value));
        } else if let Some(value) = variable.strip_prefix(b"OTEL_RESOURCE_ATTRIBUTES=") {
            attributes = attributes.or(Some(value));
        }
    }
    let direct = service_name.map(|value| String::from_utf8_lossy(value).trim().to_owned());
    direct.filter(|name| !name.is_empty()).or_else(|| name_from_attributes(std::str::from_utf8(attributes?).ok()?))
}

/// `service.name` of an `OTEL_RESOURCE_ATTRIBUTES` value: `key=value` pairs between commas, keys and values
/// percent-encoded (OpenTelemetry specification, resource SDK). As the specification wants it, an error anywhere
/// discards the whole value. Of a key that occurs twice the last counts.
fn name_from_attributes(list: &str) -> Option<String> {
    let mut name = None;
    for pair in list.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=')?;
        let value = percent_decode(value.trim())?;
        if percent_decode(key.trim())? == "service.name" {
            name = Some(value.into_owned());
        }
    }
    name.filter(|name| !name.is_empty())
}

/// Percent-decoding (RFC 3986 §2.1) that refuses what is malformed or not UTF-8.
fn percent_decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let (digits, tail) = rest.split_first_chunk::<2>()?;
        decoded.push(hex_digit(digits[0])? << 4 | hex_digit(digits[1])?);
        rest = tail;
    }
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_name_services() {
        for (environment, expected) in [
            ("", None),
            ("PATH=/bin\0HOME=/\0", None),
            ("OTEL_SERVICE_NAME=cart\0", Some("cart")),
            ("OTEL_SERVICE_NAME= cart \0", Some("cart")),
            ("OTEL_SERVICE_NAME=a%20b\0", Some("a%20b")),
            ("OTEL_SERVICE_NAME=first\0OTEL_SERVICE_NAME=second\0", Some("first")),
            ("OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=b\0", Some("b")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=b\0OTEL_SERVICE_NAME=a\0", Some("a")),
            ("OTEL_RESOURCE_ATTRIBUTES=a=1,service.name=cart,b=2\0", Some("cart")),
            ("OTEL_RESOURCE_ATTRIBUTES= a = 1 , service.name = cart ,\0", Some("cart")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a%2Cb%3dc%20d\0", Some("a,b=c d")),
            ("OTEL_RESOURCE_ATTRIBUTES=service%2Ename=x\0", Some("x")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a=b\0", Some("a=b")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.name=b\0", Some("b")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=%C3%A9t%C3%A9\0", Some("été")),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a,b\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a,b=%\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a%2\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=a%zz\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name=%ff\0", None),
            ("OTEL_RESOURCE_ATTRIBUTES=service.name.x=a\0", None),
            ("XOTEL_SERVICE_NAME=a\0", None),
            ("OTEL_SERVICE_NAME=cut", None),
            ("A=1\0OTEL_SERVICE_NAME=cut", None),
        ] {
            assert_eq!(name_from_environment(environment.as_bytes()).as_deref(), expected, "{environment:?}");
        }
    }

    #[test]
    fn names_become_stable_ids_up_to_the_limit() {
        let mut services = Services::new(3);
        let cart = services.intern("cart");
        let shop = services.intern("shop");
        assert_ne!(cart, shop);
        assert_eq!(services.intern("cart"), cart);
        assert_eq!(services.intern(""), ServiceId::UNKNOWN);
        assert_eq!(services.intern(UNKNOWN_SERVICE), ServiceId::UNKNOWN);
        assert_eq!(services.intern("late"), ServiceId::UNKNOWN);
        assert_eq!(services.intern("shop"), shop);
        assert_eq!(&**services.name(shop), "shop");
        assert_eq!(&**services.name(ServiceId(77)), UNKNOWN_SERVICE);
        assert_eq!((services.len(), services.limit(), services.refused()), (3, 3, 1));
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let mut services = Services::new(9);
        let long = "é".repeat(MAX_SERVICE_NAME);
        let id = services.intern(&format!("x{long}"));
        assert_eq!(services.name(id).len(), MAX_SERVICE_NAME - 1);
        assert_eq!(services.intern(&format!("x{long}y")), id);
    }
}
