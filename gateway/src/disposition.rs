//! File names in headers (RFC 6266): read from what clients send, written for what they get.

use http::HeaderValue;
use std::fmt::Write;

/// The file name in a `Content-Disposition`; the encoded form `filename*` wins over the plain one.
pub(crate) fn file_name(header: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(header);
    let mut plain = None;
    for (key, value) in parameters(&text) {
        match key.to_ascii_lowercase().as_str() {
            "filename*" => {
                if let Some(name) = decoded(&value) {
                    return Some(name);
                }
            }
            "filename" => plain = Some(value),
            _ => {}
        }
    }
    plain.filter(|name| !name.is_empty())
}

/// The header under which browsers save a file with this name, in any script.
pub(crate) fn attachment(name: &str) -> HeaderValue {
    let plain: String = name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect();
    let mut header = format!("attachment; filename=\"{plain}\"; filename*=UTF-8''");
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
            header.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(header, "%{byte:02X}");
        }
    }
    HeaderValue::try_from(header).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

/// What every client understands between quotes; some decode `%` where they should not.
fn is_plain(c: char) -> bool {
    (c.is_ascii_graphic() || c == ' ') && !matches!(c, '"' | '\\' | '%')
}

/// The parameters after the type, unquoted.
fn parameters(header: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut rest = header.split_once(';').map_or("", |(_, rest)| rest);
    while let Some((key, value)) = rest.split_once('=') {
        let (value, after) = value_of(value.trim_start());
        // Something without a value before it belongs to no key.
        let key = key.rsplit(';').next().unwrap_or(key).trim();
        found.push((key, value));
        rest = after.split_once(';').map_or("", |(_, rest)| rest);
    }
    found
}

/// The value at the start of `text`, and what follows it.
fn value_of(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let (mut value, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            // Only a quote is escaped: browsers send `C:\film.mp4` with bare backslashes.
            '\\' if quoted[at + 1..].starts_with('"') => {
                value.push('"');
                chars.next();
            }
            c => value.push(c),
        }
    }
    (value, "")
}

/// A value as `UTF-8'en'f%C3%BCr.mp4`.
fn decoded(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, text) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("utf-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            byte => byte,
        };
        bytes.push(byte);
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_clients_write_them() {
        for (header, name) in [
            ("form-data; name=\"file\"; filename=\"a b.mp4\"", Some("a b.mp4")),
            ("attachment; filename=film.mp4", Some("film.mp4")),
            (
                "form-data; filename=\"say \\\"hi\\\"; now.mp4\"; name=file",
                Some("say \"hi\"; now.mp4"),
            ),
            ("form-data; filename=\"C:\\films\\a.mp4\"", Some("C:\\films\\a.mp4")),
            (
                "attachment; filename=\"x.mp4\"; filename*=UTF-8''%D1%84%D0%B8%D0%BB%D1%8C%D0%BC.mp4",
                Some("фильм.mp4"),
            ),
            ("attachment; FileName*=utf-8'ru'%D1%84.mp4", Some("ф.mp4")),
            ("attachment; filename=\"plain.mp4\"; filename*=UTF-8''%zz", Some("plain.mp4")),
            ("form-data; name=\"filename=evil\"", None),
            ("form-data; filename=\"\"", None),
            ("attachment", None),
            ("form-data; filename=\"never ends", Some("never ends")),
        ] {
            assert_eq!(file_name(header.as_bytes()).as_deref(), name, "{header}");
        }
        assert_eq!(
            file_name("form-data; filename=\"фильм.mp4\"".as_bytes()).as_deref(),
            Some("фильм.mp4")
        );
    }

    #[test]
    fn names_are_written_for_every_client() {
        assert_eq!(
            attachment("für \"dich\" 100%.mp3"),
            "attachment; filename=\"f_r _dich_ 100_.mp3\"; filename*=UTF-8''f%C3%BCr%20%22dich%22%20100%25.mp3"
        );
        let hostile = attachment("a\r\nSet-Cookie: x=1\u{202e}\0.mp3");
        assert!(hostile.to_str().is_ok_and(|text| !text.contains(['\r', '\n', '\0'])));
    }

    #[test]
    fn what_is_written_is_read_back() {
        for name in ["film.mp3", "フィルム.mp3", "a;b=c\"d.mp3", "100% '*'.mp3"] {
            assert_eq!(file_name(attachment(name).as_bytes()).as_deref(), Some(name));
        }
    }
}
