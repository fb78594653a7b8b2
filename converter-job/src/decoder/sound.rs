//! The sound of a track: its decoded frames in order.

use super::{
    Stop, limits,
    packets::{Packets, nanoseconds},
};
use domain::Reason;
use ffmpeg_next::{
    Dictionary, Error, Packet, codec, decoder,
    error::{EINVAL, ENOMEM},
    frame,
};

/// One track, being decoded.
pub(super) struct Sound {
    packets: Packets,
    decoder: decoder::Audio,
    /// Microseconds of sound given, silence included.
    given_us: u64,
    ended: bool,
}

impl Sound {
    pub(super) fn of(packets: Packets) -> Result<Self, Stop> {
        let decoder = open_decoder(&packets)?;
        Ok(Self { packets, decoder, given_us: 0, ended: false })
    }

    pub(super) const fn packets(&self) -> &Packets {
        &self.packets
    }

    /// Decodes the next frame; false at the end. What cannot be decoded is passed over.
    pub(super) fn next(&mut self, frame: &mut frame::Audio) -> Result<bool, Stop> {
        loop {
            match self.decoder.receive_frame(frame) {
                Ok(()) if frame.samples() > 0 => return check(frame).map(|()| true),
                Ok(()) => {}
                Err(Error::Eof) => return Ok(false),
                Err(Error::Other { errno: ENOMEM }) => return Err(Stop::Memory),
                Err(_) if self.ended => return Ok(false),
                Err(_) => self.feed()?,
            }
        }
    }

    /// When a frame begins, in nanoseconds.
    pub(super) fn time_of(&self, frame: &frame::Audio) -> Option<i64> {
        let base = self.decoder.packet_time_base();
        frame.timestamp().map(|at| nanoseconds(at, base))
    }

    /// Counts a frame that has been given, of sound or of silence.
    pub(super) fn count(&mut self, frame: &frame::Audio) -> Result<(), Stop> {
        self.given_us += frame.samples() as u64 * 1_000_000 / u64::from(frame.rate());
        limits::check_duration(self.given_us / 1000)
    }

    /// Gives the decoder its next packet, or tells it that there is none.
    fn feed(&mut self) -> Result<(), Stop> {
        if let Some(packet) = self.packets.next()? {
            return self.send(&packet);
        }
        self.ended = true;
        // Only a decoder that has ended already refuses; then there is nothing to flush.
        let _ = self.decoder.send_eof();
        Ok(())
    }

    fn send(&mut self, packet: &Packet) -> Result<(), Stop> {
        match self.decoder.send_packet(packet) {
            Err(Error::Other { errno: ENOMEM }) => Err(Stop::Memory),
            _ => Ok(()),
        }
    }

    /// Milliseconds of sound given, silence included.
    pub(super) const fn given_ms(&self) -> u64 {
        self.given_us / 1000
    }
}

fn check(frame: &frame::Audio) -> Result<(), Stop> {
    let rate = i32::try_from(frame.rate()).unwrap_or(-1);
    limits::check_shape(rate, frame.channels().into())?;
    if rate == 0 || frame.channels() == 0 {
        return Err(Stop::failed(Reason::NotMedia, "sound without a sample rate or channels"));
    }
    Ok(())
}

fn open_decoder(packets: &Packets) -> Result<decoder::Audio, Stop> {
    let stream = packets.stream()?;
    let unsupported = |what: &str| Stop::failed(Reason::UnsupportedFormat, what);
    let id = stream.parameters().id();
    if id == codec::Id::None {
        return Err(unsupported("its sound has an unknown codec"));
    }
    let codec =
        decoder::find(id).ok_or_else(|| unsupported("there is no decoder for its sound"))?;
    let context = codec::Context::from_parameters(stream.parameters());
    let mut decoder =
        context.map_err(|error| Stop::trouble("no decoder context", error))?.decoder();
    decoder.set_packet_time_base(stream.time_base());
    let mut options = Dictionary::new();
    options.set("codec_whitelist", &limits::CODECS);
    let opened = decoder.open_as_with(codec, options).and_then(decoder::Opened::audio);
    opened.map_err(|error| match error {
        Error::Other { errno: ENOMEM } => Stop::Memory,
        Error::Other { errno: EINVAL } => unsupported(&format!("its sound is {}", codec.name())),
        error => Stop::failed(Reason::NotMedia, format!("{}: {error}", codec.name())),
    })
}
