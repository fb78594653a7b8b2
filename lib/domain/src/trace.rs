//! The trace that an upload belongs to, as W3C Trace Context writes it. It goes with the record, the
//! messages, the Job and the attempt's log, so that one search finds all that one upload caused.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

/// A `traceparent`: `00-<32 digits of the trace>-<16 of the caller>-<flags>`, in lower case.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent(String);

/// The text is no [`TraceParent`].
#[derive(Debug, thiserror::Error)]
#[error("a traceparent is written 00-<32 hexadecimal digits>-<16>-<2>")]
pub struct BadTraceParent;

impl TraceParent {
    /// Begins a trace.
    pub fn generate() -> Self {
        Self(format!("00-{}-{}-00", Uuid::now_v7().simple(), caller()))
    }

    /// The same trace, called from here.
    #[must_use]
    pub fn continued(&self) -> Self {
        let (trace, flags) = (&self.0[..36], &self.0[52..]);
        Self(format!("{trace}{}{flags}", caller()))
    }

    /// As it is written in headers.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A caller's id: the half of a fresh UUID that is random, and never zero.
fn caller() -> String {
    format!("{:016x}", Uuid::now_v7().as_u64_pair().1)
}

impl TryFrom<String> for TraceParent {
    type Error = BadTraceParent;
    fn try_from(text: String) -> Result<Self, BadTraceParent> {
        let digits = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let names = |part: &str| digits(part) && part.bytes().any(|b| b != b'0');
        let parts: Vec<_> = text.split('-').collect();
        let good = match parts[..] {
            ["00", trace, caller, flags] => {
                (trace.len(), caller.len(), flags.len()) == (32, 16, 2)
                    && names(trace)
                    && names(caller)
                    && digits(flags)
            }
            _ => false,
        };
        if good { Ok(Self(text)) } else { Err(BadTraceParent) }
    }
}

impl FromStr for TraceParent {
    type Err = BadTraceParent;
    fn from_str(text: &str) -> Result<Self, BadTraceParent> {
        Self::try_from(text.to_owned())
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.0
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_goes_on_under_its_name() {
        let first = TraceParent::generate();
        let second = first.continued();
        assert_eq!(second.as_str().parse::<TraceParent>().unwrap(), second);
        assert_eq!(first.as_str()[..36], second.as_str()[..36]);
        assert_ne!(first, second);
        assert_ne!(first.as_str()[..36], TraceParent::generate().as_str()[..36]);
    }

    #[test]
    fn only_what_the_standard_writes_is_one() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        good.parse::<TraceParent>().unwrap();
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }
}
