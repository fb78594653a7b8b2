//! The doors into libavformat that ffmpeg-next does not have: opening with every way out shut, and
//! the facts about a stream that decide whether and how it is read.

#![expect(
    unsafe_code,
    reason = "ffmpeg-next has no safe function for these; each block says why it holds"
)]

mod facts;

pub(super) use facts::{Chapter, chapters, cover, text};

use super::{
    Stop,
    limits::{self, LARGEST_BLOCK},
    video::Video,
};
use domain::{Language, Reason};
use ffmpeg_next::{
    Dictionary, Error, Packet,
    codec::{self, packet::Ref},
    error::{EINVAL, ENOMEM},
    ffi,
    format::context::{Input, StreamIo},
    log, media,
};
use std::{
    ffi::{CStr, c_char, c_int},
    ptr,
};

/// Bytes that libavformat gathers before it looks at them. Larger ones pay off only when a file is
/// read in order; the video's own blocks grow for that.
const BUFFER: usize = 64 << 10;

/// A stream's facts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Track {
    /// Its place in the file.
    pub(super) index: usize,
    /// What it carries.
    pub(super) medium: media::Type,
    /// Its codec.
    pub(super) codec: codec::Id,
    /// The container's four letters for its codec.
    pub(super) tag: [u8; 4],
    /// 0 where not known.
    pub(super) channels: i32,
    /// 0 where not known.
    pub(super) rate: i32,
    /// What is spoken in it, where the file says so.
    pub(super) language: Option<Language>,
    /// Marked as the one to play.
    pub(super) default: bool,
    /// Whether any of it was met while looking at the file.
    pub(super) heard: bool,
}

/// Sets what holds for the whole process.
pub(super) fn prepare() -> Result<(), Error> {
    ffmpeg_next::init()?;
    log::set_level(log::Level::Error);
    // SAFETY: it stores one number, before any other call.
    unsafe { ffi::av_max_alloc(LARGEST_BLOCK) };
    Ok(())
}

/// Which FFmpeg is loaded, as `5.1.9`.
pub(crate) fn version() -> &'static str {
    // SAFETY: a text of the library's own, which ends with a zero and stays where it is.
    let version = unsafe { CStr::from_ptr(ffi::av_version_info()) };
    version.to_str().unwrap_or("unknown")
}

/// Answers libavformat's wish to open something else: nothing else exists.
unsafe extern "C" fn refuse_open(
    _: *mut ffi::AVFormatContext,
    _: *mut *mut ffi::AVIOContext,
    _: *const c_char,
    _: c_int,
    _: *mut *mut ffi::AVDictionary,
) -> c_int {
    ffi::AVERROR(ffmpeg_next::error::EPERM)
}

/// Recognises the format and reads the file's head; nothing has been decoded yet.
pub(super) fn open(video: Video) -> Result<Input, Stop> {
    let trouble = |error| Stop::trouble("the reader cannot be made", error);
    let mut io = StreamIo::from_read_seek_with_capacity(video, BUFFER).map_err(trouble)?;
    let format = probe(&mut io)?;
    // SAFETY: the context is null-checked and given valid pointers; `avformat_open_input` frees it
    // when it fails and hands it to `Input` when it succeeds, together with the reader it uses.
    unsafe {
        let mut context = ffi::avformat_alloc_context();
        if context.is_null() {
            return Err(Stop::Memory);
        }
        (*context).pb = io.as_mut_ptr();
        (*context).flags |= ffi::AVFMT_FLAG_CUSTOM_IO;
        (*context).io_open = Some(refuse_open);
        let mut options = options().disown();
        let opened =
            ffi::avformat_open_input(&raw mut context, ptr::null(), format, &raw mut options);
        drop(Dictionary::own(options));
        match opened {
            0 => Ok(Input::wrap_with_custom_io(context, io)),
            error => Err(unreadable(error)),
        }
    }
}

fn options() -> Dictionary<'static> {
    let mut options = Dictionary::new();
    options.set("format_whitelist", &limits::FORMATS);
    options.set("codec_whitelist", &limits::CODECS);
    options.set("protocol_whitelist", "");
    options.set("max_streams", limits::STREAMS);
    options.set("probesize", limits::PROBE_BYTES);
    options.set("analyzeduration", limits::PROBE_MICROSECONDS);
    options
}

/// The format of the bytes, by their content alone: there is no name.
fn probe(io: &mut StreamIo) -> Result<*const ffi::AVInputFormat, Stop> {
    let mut format = ptr::null();
    // SAFETY: `io` owns a live context and outlives the call; no name, no log, default sizes.
    let score = unsafe {
        ffi::av_probe_input_buffer2(
            io.as_mut_ptr(),
            &raw mut format,
            ptr::null(),
            ptr::null_mut(),
            0,
            0,
        )
    };
    if score < 0 || format.is_null() {
        return Err(unreadable(score));
    }
    // SAFETY: formats are static, and their names are C strings.
    let name = unsafe { CStr::from_ptr((*format).name) }.to_string_lossy();
    if !limits::is_allowed(&name) {
        return Err(Stop::failed(Reason::UnsupportedFormat, format!("it is {name}")));
    }
    Ok(format)
}

fn unreadable(error: c_int) -> Stop {
    match Error::from(error) {
        Error::Other { errno: ENOMEM } => Stop::Memory,
        Error::Other { errno: EINVAL } => {
            Stop::failed(Reason::UnsupportedFormat, "it holds something that is not accepted")
        }
        error => Stop::failed(Reason::NotMedia, error.to_string()),
    }
}

/// Reads on until the streams' shapes are known, or the limits of looking are reached.
pub(super) fn look(input: &mut Input) -> Result<(), Stop> {
    // SAFETY: the context is open, and no options are given.
    match unsafe { ffi::avformat_find_stream_info(input.as_mut_ptr(), ptr::null_mut()) } {
        error if error == ffi::AVERROR(ENOMEM) => Err(Stop::Memory),
        // What could not be found out shows when it is decoded.
        _ => Ok(()),
    }
}

/// The streams met so far.
pub(super) fn tracks(input: &Input) -> Vec<Track> {
    let facts = |stream: ffmpeg_next::Stream<'_>| {
        let language = stream.metadata().get("language").and_then(|code| code.parse().ok());
        // SAFETY: the stream belongs to an open context, which owns its parameters.
        let (stream, parameters) = unsafe { (&*stream.as_ptr(), &*(*stream.as_ptr()).codecpar) };
        Track {
            index: usize::try_from(stream.index).unwrap_or_default(),
            medium: parameters.codec_type.into(),
            codec: parameters.codec_id.into(),
            tag: parameters.codec_tag.to_le_bytes(),
            channels: parameters.ch_layout.nb_channels,
            rate: parameters.sample_rate,
            language,
            default: stream.disposition & ffi::AV_DISPOSITION_DEFAULT != 0,
            heard: stream.event_flags & ffi::AVSTREAM_EVENT_FLAG_NEW_PACKETS as c_int != 0,
        }
    };
    input.streams().map(facts).collect()
}

/// Has the demuxer pass over every stream but one.
pub(super) fn keep_only(input: &mut Input, kept: usize) {
    for index in 0..input.nb_streams() as usize {
        if let (true, Some(mut stream)) = (index != kept, input.stream_mut(index)) {
            // SAFETY: the stream belongs to the open context, which is borrowed mutably.
            unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
        }
    }
}

/// Whether the file says how long it is; else its duration is a guess from its size.
pub(super) fn tells_duration(input: &Input) -> bool {
    use ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE;
    // SAFETY: the context is open.
    unsafe { (*input.as_ptr()).duration_estimation_method != AVFMT_DURATION_FROM_BITRATE }
}

/// Whether a packet lies outside of what its container wants played.
pub(super) fn is_outside(packet: &Packet) -> bool {
    // SAFETY: the packet is borrowed, and its flags are a number.
    unsafe { (*packet.as_ptr()).flags & ffi::AV_PKT_FLAG_DISCARD != 0 }
}

/// When the first of all its streams begins, in microseconds.
pub(super) fn start(input: &Input) -> Option<i64> {
    // SAFETY: the context is open.
    let start = unsafe { (*input.as_ptr()).start_time };
    (start != ffi::AV_NOPTS_VALUE).then_some(start)
}

/// The end of the furthest bytes that the file's index places in a stream.
pub(super) fn indexed(input: &mut Input, index: usize) -> u64 {
    let Some(mut stream) = input.stream_mut(index) else {
        return 0;
    };
    // SAFETY: the stream belongs to the open context, which is borrowed mutably; entries up to the
    // count exist, and are only looked at before the next call.
    let ends = unsafe {
        let stream = stream.as_mut_ptr();
        let entry = |at| ffi::avformat_index_get_entry(stream, at).as_ref();
        let entries = (0..ffi::avformat_index_get_entries_count(stream)).filter_map(entry);
        entries.map(|entry| entry.pos.saturating_add(entry.size().into())).max()
    };
    ends.and_then(|end| u64::try_from(end).ok()).unwrap_or(0)
}

/// Whether there is a demuxer of this name.
#[cfg(test)]
pub(super) fn has_format(name: &str) -> bool {
    let name = std::ffi::CString::new(name).unwrap();
    // SAFETY: the name is a C string; formats are static.
    unsafe { !ffi::av_find_input_format(name.as_ptr()).is_null() }
}
