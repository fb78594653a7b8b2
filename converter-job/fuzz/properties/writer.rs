//! The MP3 that goes to the attempt in parts, with its header filled in at the end, is the one that a
//! file would hold; and whatever is said in the header, it can be read.

use super::{
    header::Silence,
    layer3::{self, Frame},
    link::Shared,
    mp3::Mp3,
};
use crate::{
    attempt::{Seen, file, next},
    choices::Choices,
};
use std::io::{Read, Seek};

/// Frames of one course at most.
const MOST: usize = 2000;

pub(crate) fn equals_a_file(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let tag = vec![b'T'; choices.size(18)];
    let mut requests = file(&[]);
    let link = Shared::over(file(&[]), requests.try_clone().unwrap());
    let mut mp3 = Mp3::new(link, tag.clone());
    let (sound, frames) = sound(&mut choices);
    for (frame, bytes) in &frames {
        mp3.push(*frame, bytes).ok().unwrap();
    }
    let silence = Silence { delay: choices.number() >> 8, padding: choices.number() >> 8 };
    let told = choices.byte().is_multiple_of(2).then_some(silence);
    let all = mp3.samples();
    let finished = mp3.finish(told);
    let Some((first, _)) = frames.first() else {
        assert!(finished.is_err(), "an MP3 without frames");
        return;
    };
    finished.ok().unwrap();
    assert_eq!(all, first.samples() * frames.len() as u64);
    requests.rewind().unwrap();
    let mut said = Vec::new();
    requests.read_to_end(&mut said).unwrap();
    let (mut said, mut seen) = (&said[..], Seen::default());
    while let Some(request) = next(&mut said) {
        seen.write(request);
    }
    let mp3 = seen.mp3.strip_prefix(&tag[..]).expect("another tag");
    let (header, rest) =
        layer3::frames(mp3).next().map(|(head, _)| mp3.split_at(head.length())).unwrap();
    assert!(rest == sound, "other sound");
    let at = 4 + Frame::at(header).unwrap().side();
    let number = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap()) as usize;
    assert_eq!((number(at + 8), number(at + 12)), (frames.len(), mp3.len()));
    assert!(header[at + 16..at + 116].is_sorted(), "places that go back");
}

/// Frames of one kind and any bit rate; all their bytes, and each.
fn sound(choices: &mut Choices<'_>) -> (Vec<u8>, Vec<(Frame, Vec<u8>)>) {
    let (kind, rate, mode) =
        (choices.one_of(&[0xfb, 0xf3, 0xe3]), choices.byte() % 3, choices.byte());
    let (mut sound, mut frames) = (Vec::new(), Vec::new());
    while !choices.are_out() && frames.len() < MOST {
        let head = [0xff, kind, choices.byte() & 0xf3 | rate << 2, mode];
        let Some(frame) = Frame::at(&head) else { continue };
        for _ in 0..=choices.byte() {
            let mut bytes = head.to_vec();
            bytes.resize(frame.length(), frames.len() as u8);
            sound.extend_from_slice(&bytes);
            frames.push((frame, bytes));
        }
    }
    (sound, frames)
}
