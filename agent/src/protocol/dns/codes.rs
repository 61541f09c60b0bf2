//! Response codes and record types by name.

use std::borrow::Cow;

use domain::base::Rtype;

/// A response code's name in the registry, in lower case (IANA "DNS RCODEs"); its number where it has none.
#[must_use]
pub fn code_name(code: u16) -> Cow<'static, str> {
    let name = match code {
        0 => "noerror",
        1 => "formerr",
        2 => "servfail",
        3 => "nxdomain",
        4 => "notimp",
        5 => "refused",
        6 => "yxdomain",
        7 => "yxrrset",
        8 => "nxrrset",
        9 => "notauth",
        10 => "notzone",
        11 => "dsotypeni",
        // In a header: elsewhere it is BADSIG (RFC 8945 §3).
        16 => "badvers",
        17 => "badkey",
        18 => "badtime",
        19 => "badmode",
        20 => "badname",
        21 => "badalg",
        22 => "badtrunc",
        23 => "badcookie",
        _ => return Cow::Owned(code.to_string()),
    };
    Cow::Borrowed(name)
}

/// A record type's name in the registry (IANA "Resource Record (RR) TYPEs"); `TYPE123` where it has none
/// (RFC 3597 §5).
#[must_use]
pub fn kind_name(kind: u16) -> Cow<'static, str> {
    match Rtype::from_int(kind).to_mnemonic_str() {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("TYPE{kind}")),
    }
}
