//! What attempt and decoder say is heard as it was said, and other bytes are refused.

use crate::{
    attempt::{file, next},
    choices::Choices,
    decoder::reader::job_through_a_link,
    protocol::{
        Drawn, Facts, HEADER, Header, Job, MAX_BLOCK, MAX_PAYLOAD, REASONS, Request, printable,
    },
};
use bytes::Bytes;
use domain::{Decibels, Loudness, Options, Origin, SoundTrack, Waveform};

/// Several requests behind one another.
pub(crate) fn requests(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (mut said, mut wire) = (Vec::new(), Vec::new());
    while !choices.are_out() {
        let request = request(&mut choices);
        wire.extend(request.encode());
        said.push(request);
    }
    let mut wire = &wire[..];
    for request in said {
        assert_eq!(next(&mut wire).map(heard), Some(heard(request)));
    }
    assert_eq!(next(&mut wire), None);
}

/// Texts lose what cannot be printed, and what is too long.
fn heard(request: Request) -> Request {
    let plain = |text: String| printable(&text.as_bytes()[..text.floor_char_boundary(1024)]);
    match request {
        Request::Notice(text) => Request::Notice(plain(text)),
        Request::Failed { reason, detail } => Request::Failed { reason, detail: plain(detail) },
        other => other,
    }
}

fn request(choices: &mut Choices<'_>) -> Request {
    let block = |choices: &mut Choices<'_>| Bytes::from(vec![7; 1 + choices.size(20)]);
    match choices.byte() % 9 {
        0 => {
            let length = u32::try_from(choices.below(MAX_BLOCK + 1)).unwrap();
            Request::Read { offset: choices.number(), length }
        }
        1 => Request::Append(block(choices)),
        2 => Request::Patch { offset: choices.number(), bytes: block(choices) },
        3 => Request::Progress { percent: choices.byte() % 101, sound_ms: choices.number() },
        4 => Request::Notice(choices.text(usize::MAX)),
        5 => Request::Facts(Box::new(facts(choices))),
        6 => Request::Waveform(Box::new(drawn(choices))),
        7 => Request::Done { duration_ms: choices.number(), loudness: loudness(choices) },
        _ => {
            let reason = REASONS[choices.below(REASONS.len())];
            Request::Failed { reason, detail: choices.text(usize::MAX) }
        }
    }
}

fn facts(choices: &mut Choices<'_>) -> Facts {
    let number = |choices: &mut Choices<'_>| choices.number() as u32;
    let track = |number| SoundTrack {
        number,
        codec: "aac".to_owned(),
        language: "eng".parse().ok(),
        channels: Some(u32::from(number)),
        sample_rate: None,
        default: number == 1,
    };
    let count = 1 + choices.byte() % 32;
    let origin = Origin {
        container: "mov,mp4".to_owned(),
        codec: "aac".to_owned(),
        track: 1 + choices.byte() % count,
        tracks: (1..=count).map(track).collect(),
    };
    let sample_rate = 8_000 + number(choices) % 40_001;
    Facts { origin, sample_rate, channels: 1 + choices.byte() % 2 }
}

fn drawn(choices: &mut Choices<'_>) -> Drawn {
    let pixels = 1 + choices.size(13);
    let pixel = |_| {
        let (one, other) = (choices.byte().cast_signed(), choices.byte().cast_signed());
        [one.min(other), one.max(other)]
    };
    let data: Vec<i8> = (0..pixels.min(Waveform::MOST_PIXELS)).flat_map(pixel).collect();
    let peak = Decibels::try_from(f64::from(choices.byte()) / -100.0).ok();
    Drawn { waveform: Waveform::new(48_000, 256 << (choices.byte() % 16), data), peak }
}

fn loudness(choices: &mut Choices<'_>) -> Option<Loudness> {
    let mut level = || Decibels::try_from(f64::from_bits(choices.number())).ok();
    let (integrated_lufs, true_peak_dbtp, gain_db) = (level()?, level()?, level()?);
    Some(Loudness { integrated_lufs, true_peak_dbtp, gain_db })
}

/// Any bytes as a frame: what is taken is within the limits, and says the same when it is said again.
pub(crate) fn frames(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let mut header = [0; HEADER];
    header.fill_with(|| choices.byte());
    if let Ok(header) = Header::parse(header) {
        assert!(header.length <= MAX_PAYLOAD);
        assert_eq!(Header::parse(Header::encode(header.kind, header.length)).as_ref(), Ok(&header));
    }
    // Nobody guesses a kind, and how many bytes it has.
    let kind = if choices.byte() < 200 { choices.one_of(b"rap%niwdf") } else { header[0] };
    let most = choices.one_of(&[8, 9, 12, 32, 1100, 16_400, MAX_PAYLOAD]);
    let payload = choices.bytes(most);
    let header = Header { kind, length: payload.len() };
    let Ok(request) = Request::decode(header, Bytes::copy_from_slice(payload)) else { return };
    match &request {
        Request::Read { length, .. } => assert!(*length as usize <= MAX_BLOCK),
        Request::Progress { percent, .. } => assert!(*percent <= 100),
        Request::Notice(text) | Request::Failed { detail: text, .. } => {
            assert!(!text.contains(char::is_control));
        }
        _ => {}
    }
    // What stands for a byte that is no text is longer than it, and may be cut.
    assert_eq!(heard(next(&mut &request.encode()[..]).unwrap()), heard(request));
}

/// Options of all kinds, of which most are some.
fn options(choices: &mut Choices<'_>) -> String {
    let mut all = vec![format!("\"preset\": \"{}\"", choices.one_of(&["v0", "128", "speech"]))];
    let mut option = |name: &str, value: String| {
        if choices.byte() % 2 == 1 {
            all.push(format!("\"{name}\": {value}"));
        }
        choices.below(1 << 20)
    };
    let number = option("allow_truncated", "true".to_owned());
    let number = option("quality", (number % 10).to_string());
    let number = option("start", (number as f64 / 1000.0).to_string());
    let number = option("end", number.to_string());
    let number = option("track", (1 + number).to_string());
    let number = option("loudness", (-70 + number as i32 % 65).to_string());
    option("bit_rate", [32, 192][number % 2].to_string());
    format!("{{{}}}", all.join(", "))
}

/// Any JSON as a job: what is one arrives as it was sent.
pub(crate) fn jobs(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (length, rest) = (choices.number(), choices.bytes(usize::MAX));
    let some = || serde_json::from_str(&options(&mut Choices::new(rest)));
    let Ok(options) = serde_json::from_slice::<Options>(rest).or_else(|_| some()) else { return };
    let job = Job {
        options,
        length,
        run_limit_seconds: length.rotate_left(7),
        memory_bytes: length.rotate_left(19),
        threads: length as u32,
        serial: length % 2 == 1,
    };
    let text = serde_json::to_vec(&job).unwrap();
    let frame = [&Header::encode(Header::JOB, text.len())[..], &text].concat();
    assert_eq!(job_through_a_link(file(&frame)), job);
}
