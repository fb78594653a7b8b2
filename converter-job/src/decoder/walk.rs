//! One walk through the sound: decoded from its first frame on, and what of it is wanted handed over.

use super::{
    Stop,
    cut::{self, Cut},
    link::Shared,
    sound::Sound,
    timeline::Timeline,
    video::Video,
};
use crate::protocol::{Job, Request};
use domain::Reason;
use ffmpeg_next::frame;

/// Gives the frames that are wanted to `take`, at least one, and tells how far it is.
pub(super) fn walk(
    job: &Job,
    link: &Shared,
    video: Video,
    broken: Option<&str>,
    take: &mut impl FnMut(&Sound, &mut frame::Audio) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut sound = Timeline::new(Sound::open(video, job, broken)?);
    let (mut frame, mut cut) = (frame::Audio::empty(), Cut::of(&job.options));
    let (mut told, mut taken) = (0, false);
    loop {
        if !sound.next(&mut frame)? {
            judge(job, link, &sound, broken)?;
            break;
        }
        // What lies behind the end that was asked for is nobody's business.
        let Some(wanted) = cut.wanted(frame.samples(), frame.rate()) else { break };
        if !wanted.is_empty() {
            taken = true;
            take(sound.sound(), &mut cut::part(&mut frame, wanted)?)?;
        }
        let percent = sound.sound().percent(link.furthest(), job.length);
        if percent > told {
            told = percent;
            let sound_ms = sound.sound().given_ms();
            let _ = link.send(&Request::Progress { percent, sound_ms });
        }
    }
    if taken { Ok(()) } else { Err(nothing(&sound, &cut)) }
}

/// Why there was nothing to hand over.
fn nothing(sound: &Timeline, cut: &Cut) -> Stop {
    if let Some(seconds) = cut.passed_seconds() {
        Stop::failed(Reason::StartAfterEnd, format!("it lasts {seconds:.3} s"))
    } else if sound.shortfall().is_some() {
        Stop::failed(Reason::Truncated, "nothing of what is there can be decoded")
    } else {
        Stop::failed(Reason::NotMedia, "no sound could be decoded")
    }
}

/// What only the end shows: sound that is missing there, and time that was left out.
fn judge(job: &Job, link: &Shared, sound: &Timeline, broken: Option<&str>) -> Result<(), Stop> {
    let missing = sound.shortfall();
    if let (Some(missing), false) = (&missing, job.options.allow_truncated) {
        return Err(Stop::failed(Reason::Truncated, missing));
    }
    let cut = broken.or(missing.as_deref()).map(|how| format!("the file is cut off: {how}"));
    let closed = Some(sound.closed_seconds()).filter(|seconds| *seconds > 0);
    let closed = closed.map(|s| format!("{s} s of gaps in the timestamps were closed up"));
    for text in cut.into_iter().chain(closed) {
        // A broken pipe shows in the link.
        let _ = link.send(&Request::Notice(text));
    }
    Ok(())
}
