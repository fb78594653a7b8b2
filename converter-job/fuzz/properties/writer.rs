//! The MP3 that goes to the attempt in parts and patches is the one that a file would hold.

use super::{link::Shared, mp3::Mp3};
use crate::{
    attempt::{Seen, file, next},
    choices::Choices,
};
use std::io::{Cursor, Read, Seek, SeekFrom, Write};

/// Steps of one course.
const MOST: usize = 60;

pub(crate) fn equals_a_file(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let tag = vec![b'T'; choices.size(18)];
    let mut requests = file(&[]);
    let link = Shared::over(file(&[]), requests.try_clone().unwrap());
    let (mut mp3, mut model) = (Mp3::new(link, tag.clone()), Cursor::new(Vec::new()));
    for fill in 0..MOST {
        if choices.are_out() {
            break;
        }
        step(&mut choices, fill, &mut mp3, &mut model);
        assert_eq!(mp3.stream_position().unwrap(), model.position());
    }
    mp3.flush().unwrap();
    drop(mp3);
    requests.rewind().unwrap();
    let mut said = Vec::new();
    requests.read_to_end(&mut said).unwrap();
    let (mut said, mut seen) = (&said[..], Seen::default());
    while let Some(request) = next(&mut said) {
        seen.write(request);
    }
    assert!(seen.mp3 == [tag, model.into_inner()].concat(), "another MP3");
}

fn step(choices: &mut Choices<'_>, fill: usize, mp3: &mut Mp3, model: &mut Cursor<Vec<u8>>) {
    let length = model.get_ref().len();
    let to = match choices.byte() % 8 {
        0..=3 => {
            let bytes = vec![fill as u8; choices.size(18)];
            mp3.write_all(&bytes).unwrap();
            model.write_all(&bytes).unwrap();
            return;
        }
        4 => return mp3.flush().unwrap(),
        5 => SeekFrom::Start(choices.below(length + 2) as u64),
        6 => SeekFrom::End(-(choices.below(length + 2) as i64)),
        _ => SeekFrom::Current(choices.number().cast_signed()),
    };
    let before = model.position();
    let wanted = model.seek(to).ok().filter(|position| *position <= length as u64);
    model.set_position(wanted.unwrap_or(before));
    assert_eq!(mp3.seek(to).ok(), wanted, "{to:?}");
}
