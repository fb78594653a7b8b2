//! The tag holds what a file says of itself, can be read by others, and leaves room for the header.

use super::{
    libav::{Chapter, Input},
    tags,
};
use crate::choices::Choices;
use domain::{Moment, Options};
use id3::{Tag, TagLike, Version};
use std::io::Cursor;

/// Names of texts, and what they become; a date becomes several.
const TEXTS: [(&str, &str); 10] = [
    ("title", "TIT2"),
    ("artist", "TPE1"),
    ("album", "TALB"),
    ("album_artist", "TPE2"),
    ("composer", "TCOM"),
    ("genre", "TCON"),
    ("track", "TRCK"),
    ("disc", "TPOS"),
    ("date", ""),
    ("comment", ""),
];
/// The most that a tag may be: a patch has to reach what comes behind it.
const LARGEST: usize = 248 << 10;

pub(crate) fn are_kept(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let (input, options) = (input(&mut choices), cut(&mut choices));
    let written = tags::of(&input, 0, &options);
    assert!(written.len() <= LARGEST, "{} bytes", written.len());
    let size = written[6..10].iter().fold(0, |all, byte| all << 7 | usize::from(*byte));
    assert_eq!(written.len(), 10 + size, "it does not end where it says");
    let tag = Tag::read_from2(Cursor::new(&written)).unwrap();
    assert_eq!(tag.version(), Version::Id3v23);
    texts(&tag, &input);
    chapters(&tag, &input.chapters, &options);
    for picture in tag.pictures() {
        assert_eq!(Some(&picture.data), input.cover.as_ref());
    }
}

fn input(choices: &mut Choices<'_>) -> Input {
    let mut input = Input::default();
    for (key, _) in TEXTS {
        if choices.byte() % 2 == 1 {
            input.texts.insert(key, choices.text(usize::MAX));
        }
    }
    for _ in 0..choices.size(9) {
        let start_ms = choices.number() as u32;
        let end_ms = start_ms.saturating_add(choices.size(30) as u32);
        let title = (!choices.byte().is_multiple_of(4)).then(|| choices.text(usize::MAX));
        input.chapters.push(Chapter { start_ms, end_ms, title });
    }
    if choices.byte() % 2 == 1 {
        let kind: &[u8] = if choices.byte() % 2 == 1 { b"\xff\xd8\xff" } else { b"\x89PNG" };
        // Often about as large as a tag may be.
        let size = if choices.byte() < 128 { LARGEST - choices.size(12) } else { choices.size(18) };
        input.cover = Some([kind, &vec![choices.byte(); size]].concat());
    }
    input
}

/// Start and end, in this order, or none.
fn cut(choices: &mut Choices<'_>) -> Options {
    let mut moment = || format!("{}.5", choices.size(24)).parse::<Moment>().ok();
    let (start, end) = (moment(), moment());
    let options = Options { start, end, ..Options::default() };
    if options.validate().is_ok() { options } else { Options::default() }
}

/// What of a text can stand in a tag.
fn tidy(text: &str) -> String {
    let tidied = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    tidied.take(1000).collect::<String>().trim().to_owned()
}

fn texts(tag: &Tag, input: &Input) {
    for (key, id) in TEXTS.iter().filter(|(_, id)| !id.is_empty()) {
        let wanted = input.texts.get(key).map(|text| tidy(text)).filter(|text| !text.is_empty());
        let found = tag.get(id).and_then(|frame| frame.content().text());
        // A slash parts several names of one text, says the standard, and so does the reader.
        let found = found.map(|text| text.replace('\0', "/"));
        assert_eq!(found, wanted, "{key}");
    }
}

fn chapters(tag: &Tag, chapters: &[Chapter], options: &Options) {
    let ms = |moment: Option<Moment>| moment.map(|moment| moment.ms());
    let (start, end) = (ms(options.start).unwrap_or(0), ms(options.end).unwrap_or(u64::MAX));
    let within = |at: u32| u64::from(at).clamp(start, end) - start;
    let wanted = chapters.iter().map(|one| (within(one.start_ms), within(one.end_ms)));
    let wanted: Vec<_> = wanted.filter(|(start, end)| start < end).take(255).collect();
    let found = tag.chapters().map(|one| (u64::from(one.start_time), u64::from(one.end_time)));
    let found: Vec<_> = found.collect();
    // All, or where there is no room for them none.
    assert!(found == wanted || found.is_empty(), "{found:?} {wanted:?}");
    let table = tag.tables_of_contents().map(|table| table.elements.len()).sum::<usize>();
    assert_eq!(table, found.len());
}
