//! The vocabulary of the project: ids, users, options, outcomes and the conversion's state machine.
//!
//! Every other crate speaks in these words. Nothing here does I/O, knows the time or waits: the
//! caller hands in `now`, so that the same rules run against real stores and simulated ones.

mod batch;
mod conversion;
mod dispatching;
mod finding;
mod forecast;
mod id;
mod options;
mod outcome;
mod pending;
mod report;
mod trace;
mod user;
mod video;
mod waveform;

pub use batch::{
    BadBatchId, Batch, BatchChange, BatchId, BatchRefused, BatchState, BatchWish, Lane, Matching,
    Stretch,
};
pub use conversion::{
    Applied, Change, Conversion, Failure, Idempotency, Mp3, NewConversion, Pace, Refused, Setback,
    State,
};
pub use dispatching::Dispatching;
pub use finding::{Condition, Finding};
pub use forecast::{Capacity, Crowd, Place, Share, Speed, Waiting};
pub use id::{ConversionId, EventId, Mp3Id, VideoId};
pub use options::{
    BadOption, BitRate, Channels, Coding, Dbtp, Decibels, Goal, Language, Loudness, Lufs, Moment,
    Options, Preset, Quality, SampleRate, Track, UnknownPreset,
};
pub use outcome::{Cause, Exit, Reason};
pub use pending::{Pending, PendingKind, Verdict, verdict};
pub use report::{Mp3Shape, Origin, Report, SoundTrack};
pub use trace::{BadTraceParent, TraceParent};
pub use user::{BadUserName, Role, UserName};
pub use video::{FileName, Sha256, Video};
pub use waveform::Waveform;
