//! Bytes as text: escapes and repetitions.

/// Reads `\r \n \t \0 \\ \{ \} \xHH`, `{3*text}` (three times `text`) and `{3#text}` (likewise, `%d` in it being the
/// number, from 0).
///
/// # Errors
/// On anything else after a backslash or in braces.
pub fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let mut rest = text.chars();
    while let Some(character) = rest.next() {
        match character {
            '\\' => out.push(escaped(&mut rest)?),
            '{' => {
                let (inner, after) = braced(rest.as_str()).ok_or_else(|| format!("no end of {{ in {text:?}"))?;
                out.extend(repeated(inner)?);
                rest = after.chars();
            }
            other => out.extend(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Ok(out)
}

fn escaped(rest: &mut std::str::Chars<'_>) -> Result<u8, String> {
    match rest.next() {
        Some('r') => Ok(b'\r'),
        Some('n') => Ok(b'\n'),
        Some('t') => Ok(b'\t'),
        Some('0') => Ok(0),
        Some('x') => {
            let digits: String = rest.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).map_err(|error| format!("\\x{digits}: {error}"))
        }
        Some(itself @ ('\\' | '{' | '}')) => Ok(itself as u8),
        other => Err(format!("unknown escape \\{other:?}")),
    }
}

/// Splits what follows a brace at the brace that closes it.
fn braced(text: &str) -> Option<(&str, &str)> {
    let mut escape = false;
    let end = text.find(|character| {
        let closes = character == '}' && !escape;
        escape = character == '\\' && !escape;
        closes
    })?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

fn repeated(inner: &str) -> Result<Vec<u8>, String> {
    let at = inner.find(['*', '#']).ok_or_else(|| format!("neither * nor # in {{{inner}}}"))?;
    let (times, template) = inner.split_at(at);
    let times: usize = times.parse().map_err(|error| format!("{{{inner}}}: {error}"))?;
    let (kind, template) = template.split_at(1);
    let numbered = (0..times).map(|number| match kind {
        "#" => bytes(&template.replace("%d", &number.to_string())),
        _ => bytes(template),
    });
    Ok(numbered.collect::<Result<Vec<_>, _>>()?.concat())
}

#[cfg(test)]
mod tests {
    use super::bytes;

    #[test]
    fn escapes_and_repetitions() {
        assert_eq!(bytes(r"a\r\n\x00\\\{é").as_deref(), Ok("a\r\n\0\\{é".as_bytes()));
        assert_eq!(bytes(r"<{3*ab\r}{2#/%d\}}>").as_deref(), Ok(b"<ab\rab\rab\r/0}/1}>".as_slice()));
    }

    #[test]
    fn mistakes_are_errors() {
        for mistake in [r"\q", r"\xg0", "{3*a", "{a}", "{x*a}", r"{2*\q}"] {
            assert!(bytes(mistake).is_err(), "{mistake}");
        }
    }
}
