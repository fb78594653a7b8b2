//! What a file says of itself: texts, chapters, a cover. All of it was chosen by whoever made it.

#![expect(
    unsafe_code,
    reason = "ffmpeg-next takes texts for UTF-8 unseen, and has no door to covers"
)]

use ffmpeg_next::{ffi, format::context::Input};
use std::{ffi::CStr, ptr, slice};

/// A part of the whole with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Chapter {
    /// From the file's first sound or picture on.
    pub(in super::super) start_ms: u32,
    pub(in super::super) end_ms: u32,
    pub(in super::super) title: Option<String>,
}

/// A text that the container has; in OGG its one track has them.
pub(in super::super) fn text(input: &Input, track: usize, key: &CStr) -> Option<String> {
    // SAFETY: the context is open and owns its dictionaries.
    let own = value(unsafe { (*input.as_ptr()).metadata }, key);
    let of_track = || {
        let stream = input.stream(track).filter(|_| input.format().name() == "ogg")?;
        // SAFETY: the stream belongs to the open context.
        value(unsafe { (*stream.as_ptr()).metadata }, key)
    };
    own.or_else(of_track)
}

/// The chapters, in the file's order; those that make no sense are left out.
pub(in super::super) fn chapters(input: &Input) -> Vec<Chapter> {
    // SAFETY: the context is open; it has so many chapters, none of them null.
    let (found, start) = unsafe {
        let context = &*input.as_ptr();
        let found: &[*mut ffi::AVChapter] = match context.nb_chapters {
            0 => &[],
            count => slice::from_raw_parts(context.chapters, count as usize),
        };
        (found, context.start_time)
    };
    let start = if start == ffi::AV_NOPTS_VALUE { 0 } else { start };
    let one = |chapter: &*mut ffi::AVChapter| {
        // SAFETY: as above.
        let chapter = unsafe { &**chapter };
        let base = chapter.time_base;
        let ms = |time: i64| {
            let us =
                i128::from(time) * i128::from(base.num) * 1_000_000 / i128::from(base.den.max(1));
            u32::try_from((us - i128::from(start)).max(0) / 1000).ok()
        };
        let (start_ms, end_ms) = (ms(chapter.start)?, ms(chapter.end)?);
        let title = value(chapter.metadata, c"title");
        (start_ms <= end_ms).then_some(Chapter { start_ms, end_ms, title })
    };
    found.iter().filter_map(one).collect()
}

/// The first picture that is attached to the file.
pub(in super::super) fn cover(input: &Input) -> Option<&[u8]> {
    input.streams().find_map(|stream| {
        // SAFETY: the stream belongs to the open context, which owns the picture as long as it lives.
        unsafe {
            let stream = &*stream.as_ptr();
            let picture = &stream.attached_pic;
            let there = stream.disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0;
            let length = usize::try_from(picture.size).ok().filter(|length| *length > 0);
            let length = length.filter(|_| there && !picture.data.is_null())?;
            Some(slice::from_raw_parts(picture.data, length))
        }
    })
}

/// A dictionary's value. Not every container keeps to UTF-8; the older ones have Latin-1.
fn value(dictionary: *const ffi::AVDictionary, key: &CStr) -> Option<String> {
    // SAFETY: a dictionary may be null; what it gives is a C string that it owns.
    let bytes = unsafe {
        let entry = ffi::av_dict_get(dictionary, key.as_ptr(), ptr::null(), 0).as_ref()?;
        CStr::from_ptr(entry.value).to_bytes()
    };
    let latin = || bytes.iter().copied().map(char::from).collect();
    Some(str::from_utf8(bytes).map_or_else(|_| latin(), str::to_owned))
}
