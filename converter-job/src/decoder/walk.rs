//! One walk through the sound: decoded from its first frame on, and what of it is wanted handed over.

use super::{
    Stop,
    cut::{self, Cut},
    lame,
    link::Shared,
    packets::Packets,
    resample::{Shape, Shaper},
    sound::Sound,
    timeline::Timeline,
    video::Video,
};
use crate::protocol::{Job, Request};
use domain::Reason;
use ffmpeg_next::frame;
use std::ops::Range;

/// The first, the second or the only walk.
pub(super) struct Walk<'a> {
    pub(super) job: &'a Job,
    pub(super) link: &'a Shared,
    /// In what way the file ends before its own end says.
    pub(super) broken: Option<&'a str>,
    /// Of the hundred in which progress is told.
    pub(super) share: Range<u8>,
}

impl Walk<'_> {
    /// Opens the track that is wanted.
    pub(super) fn open(&self, video: Video) -> Result<Packets, Stop> {
        let packets = Packets::open(video, self.job, self.broken)?;
        // Neither a walk before nor a look at the end of the file is progress.
        self.link.begin();
        Ok(packets)
    }

    /// Gives the sound that is wanted to `take`, in the shape in which it is encoded: at least one
    /// frame, each with the track that it is of.
    pub(super) fn go(
        &self,
        packets: Packets,
        take: &mut impl FnMut(&Sound, &frame::Audio) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let (job, mut shaper) = (self.job, None);
        let mut sound = Timeline::new(Sound::of(packets)?);
        let (mut frame, mut cut, mut told) =
            (frame::Audio::empty(), Cut::of(&job.options), self.share.start);
        loop {
            if !sound.next(&mut frame)? {
                self.judge(sound.shortfall().as_deref())?;
                self.tell_closed(sound.closed_seconds());
                break;
            }
            // What lies behind the end that was asked for is nobody's business.
            let Some(wanted) = cut.wanted(frame.samples(), frame.rate()) else { break };
            if !wanted.is_empty() {
                let mut part = cut::part(&mut frame, wanted)?;
                let to = || Shaper::new(lame::target(Shape::of(&part), &job.options));
                let mut take = |frame: &_| take(sound.sound(), frame);
                shaper.get_or_insert_with(to).push(&mut part, &mut take)?;
            }
            self.tell(sound.sound().packets(), sound.sound().given_ms(), &mut told);
        }
        match shaper {
            Some(shaper) => shaper.finish(&mut |frame: &_| take(sound.sound(), frame)),
            None => Err(nothing(&sound, &cut)),
        }
    }

    /// Tells how far it is, where that is news.
    pub(super) fn tell(&self, packets: &Packets, sound_ms: u64, told: &mut u8) {
        let percent = packets.percent(sound_ms, self.link.furthest(), self.job.length);
        let share = u32::from(percent) * self.share.len() as u32 / 100;
        let percent = self.share.start + u8::try_from(share).unwrap_or(0);
        if percent > *told {
            *told = percent;
            self.link.tell(&Request::Progress { percent, sound_ms });
        }
    }

    /// What only the end shows: sound that is `missing` there.
    pub(super) fn judge(&self, missing: Option<&str>) -> Result<(), Stop> {
        if let (Some(missing), false) = (missing, self.job.options.allow_truncated) {
            return Err(Stop::failed(Reason::Truncated, missing));
        }
        if let Some(how) = self.broken.or(missing) {
            self.notice(format!("the file is cut off: {how}"));
        }
        Ok(())
    }

    /// Says something that deserves attention; of two walks the last does.
    pub(super) fn notice(&self, text: String) {
        if self.share.end == 100 {
            self.link.tell(&Request::Notice(text));
        }
    }

    fn tell_closed(&self, seconds: i64) {
        if seconds > 0 {
            self.notice(format!("{seconds} s of gaps in the timestamps were closed up"));
        }
    }
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
