//! The name of a file in multipart/form-data.

/// The name in a `content-disposition`: `filename*` (RFC 5987) or else `filename`. Bytes that are
/// not UTF-8 are replaced.
pub(crate) fn file_name(disposition: &[u8]) -> Option<String> {
    let parameters: Vec<(&[u8], Vec<u8>)> = parameters(disposition);
    let value = |wanted: &str| {
        let same = |key: &[u8]| key.eq_ignore_ascii_case(wanted.as_bytes());
        parameters.iter().find_map(|(key, value)| same(key).then_some(value))
    };
    let extended = value("filename*").and_then(|value| decode_extended(value));
    extended.or_else(|| Some(String::from_utf8_lossy(value("filename")?).into_owned()))
}

/// The parameters after the type. In quotes, a backslash stands for itself unless a quote or
/// another backslash follows, since some clients do not escape it.
fn parameters(disposition: &[u8]) -> Vec<(&[u8], Vec<u8>)> {
    let mut parameters = Vec::new();
    let mut rest = after(disposition, b';');
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| b"=;".contains(byte)).unwrap_or(rest.len());
        let (key, tail) = rest.split_at(end);
        let Some(tail) = tail.strip_prefix(b"=") else {
            rest = after(tail, b';');
            continue;
        };
        let value;
        (value, rest) = match tail.trim_ascii_start().strip_prefix(b"\"") {
            Some(quoted) => unquote(quoted),
            None => {
                let end = tail.iter().position(|&byte| byte == b';').unwrap_or(tail.len());
                (tail[..end].trim_ascii().to_vec(), &tail[end..])
            }
        };
        rest = after(rest, b';');
        parameters.push((key.trim_ascii(), value));
    }
    parameters
}

/// What follows the first `byte`.
fn after(text: &[u8], byte: u8) -> &[u8] {
    text.iter().position(|&found| found == byte).map_or(&[], |place| &text[place + 1..])
}

/// The text up to the closing quote, and the rest.
fn unquote(mut text: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut value = Vec::new();
    loop {
        match text {
            [] => return (value, text),
            [b'"', rest @ ..] => return (value, rest),
            [b'\\', byte @ (b'"' | b'\\'), rest @ ..] | [byte, rest @ ..] => {
                value.push(*byte);
                text = rest;
            }
        }
    }
}

/// Decodes `utf-8''%C3%A9.png`; `None` for another character set.
fn decode_extended(value: &[u8]) -> Option<String> {
    let mut parts = value.splitn(3, |&byte| byte == b'\'');
    let (charset, _language, text) = (parts.next()?, parts.next()?, parts.next()?);
    charset.eq_ignore_ascii_case(b"utf-8").then(|| {
        let bytes = percent_decode(text);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn percent_decode(mut text: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let mut bytes = Vec::with_capacity(text.len());
    while let [first, rest @ ..] = text {
        let escaped = match text {
            [b'%', high, low, ..] => digit(*high).zip(digit(*low)),
            _ => None,
        };
        match escaped {
            Some((high, low)) => {
                bytes.push(high << 4 | low);
                text = &text[3..];
            }
            None => {
                bytes.push(*first);
                text = rest;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::file_name;

    #[test]
    fn file_names_are_parsed() {
        let cases: [(&[u8], Option<&str>); 14] = [
            (b"form-data; name=\"f\"; filename=\"a b.png\"", Some("a b.png")),
            (b"form-data; FILENAME = a.png ; name=f", Some("a.png")),
            (b"form-data; filename=\"a\\\"b;c\\\\\"; name=f", Some("a\"b;c\\")),
            (b"form-data; filename=\"C:\\a\"", Some("C:\\a")),
            (b"form-data; filename=\"\"", Some("")),
            (b"form-data; filename=\"open", Some("open")),
            (b"form-data; filename=\"\xe9\"", Some("\u{fffd}")),
            (b"form-data; filename=\"a\"; filename*=UTF-8'de'%E6%97%A5", Some("日")),
            (b"form-data; filename*=utf-8''100%25%; x", Some("100%%")),
            (b"form-data; filename=\"a\"; filename*=koi8-r''%E6", Some("a")),
            (b"form-data; filename=a; filename*=broken", Some("a")),
            (b"form-data; name=\"filename=b\"", None),
            (b"form-data", None),
            (b"", None),
        ];
        for (disposition, expected) in cases {
            let shown = String::from_utf8_lossy(disposition);
            assert_eq!(file_name(disposition).as_deref(), expected, "{shown}");
        }
    }
}
