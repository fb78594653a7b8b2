//! Which bytes of a file a client wants: all, a part of them (to resume or to seek), or none that
//! exist. Several ranges at once are answered with the whole file, as RFC 9110 allows.

use headers::{ETag, HeaderMapExt, IfRange};
use http::{HeaderMap, header::RANGE};
use std::ops::Range;

/// What a request's `Range` comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    Part(Range<u64>),
    Nothing,
}

/// Reads `Range` and `If-Range` against a file of `length` bytes.
pub(crate) fn wanted(headers: &HeaderMap, etag: &ETag, length: u64) -> Wanted {
    let unchanged =
        headers.typed_get::<IfRange>().is_none_or(|then| !then.is_modified(Some(etag), None));
    let spec = headers.get(RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes="));
    match spec.and_then(|spec| spec.trim().split_once('-')) {
        Some((first, last)) if unchanged => part(first, last, length),
        _ => Wanted::All,
    }
}

fn part(first: &str, last: &str, length: u64) -> Wanted {
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if last >= first => first..last.saturating_add(1).min(length),
        (Ok(first), Err(_)) if last.is_empty() => first..length,
        (Err(_), Ok(count)) if first.is_empty() => length.saturating_sub(count)..length,
        // What cannot be read, several ranges among it, is as good as not sent.
        _ => return Wanted::All,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(headers: &[(&str, &str)]) -> Wanted {
        let headers = headers.iter().map(|(name, value)| {
            (name.parse::<http::HeaderName>().unwrap(), value.parse::<http::HeaderValue>().unwrap())
        });
        wanted(&headers.collect(), &"\"a\"".parse().unwrap(), 100)
    }

    #[test]
    fn ranges_are_cut_to_the_file() {
        for (range, answer) in [
            ("bytes=0-9", Wanted::Part(0..10)),
            ("bytes=90-", Wanted::Part(90..100)),
            ("bytes=90-1000", Wanted::Part(90..100)),
            ("bytes=-10", Wanted::Part(90..100)),
            ("bytes=-1000", Wanted::Part(0..100)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..100)),
            ("bytes=100-", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=9-0", Wanted::All),
            ("bytes=0-1,5-6", Wanted::All),
            ("lines=0-1", Wanted::All),
            ("bytes=x-y", Wanted::All),
        ] {
            assert_eq!(ask(&[("range", range)]), answer, "{range}");
        }
    }

    #[test]
    fn a_part_of_another_file_is_never_sent() {
        assert_eq!(ask(&[("range", "bytes=0-9"), ("if-range", "\"a\"")]), Wanted::Part(0..10));
        assert_eq!(ask(&[("range", "bytes=0-9"), ("if-range", "\"b\"")]), Wanted::All);
    }
}
