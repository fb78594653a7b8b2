//! What a video says of itself, for the MP3: title and the like, its chapters, and its cover, as an
//! ID3v2.3 tag in UTF-16.

use super::libav::{self, Chapter};
use crate::protocol::PATCHABLE;
use domain::{Moment, Options};
use ffmpeg_next::format::context::Input;
use id3::{
    Content, Frame, Tag, TagLike, Version,
    frame::{self, Comment, Picture, PictureType, TableOfContents},
};

/// What is kept: FFmpeg's names, and ID3's.
const TEXTS: [(&std::ffi::CStr, &str); 8] = [
    (c"title", "TIT2"),
    (c"artist", "TPE1"),
    (c"album", "TALB"),
    (c"album_artist", "TPE2"),
    (c"composer", "TCOM"),
    (c"genre", "TCON"),
    (c"track", "TRCK"),
    (c"disc", "TPOS"),
];
/// Characters of one text.
const LONGEST: usize = 1000;
/// Chapters; their table counts them in one byte.
const MOST_CHAPTERS: usize = 255;
/// Bytes of a tag: what comes behind it must still be within reach of a patch.
const LARGEST: usize = PATCHABLE as usize - (4 << 10);

/// Who made the MP3, as its tag says.
const MAKER: &str = concat!("audio-converter ", env!("CARGO_PKG_VERSION"));

/// The tag for a video's sound. What does not fit is left out: first the cover, then the chapters.
pub(super) fn of(input: &Input, track: usize, options: &Options) -> Vec<u8> {
    let chapters = chapters(wanted(libav::chapters(input), options));
    let cover = libav::cover(input).filter(|data| data.len() < LARGEST);
    let cover = cover.and_then(picture).map(Frame::from);
    // Texts are of bounded length and always fit.
    let mut tag = texts(input, track);
    let mut fitting = encode(&tag);
    for more in [chapters, cover.into_iter().collect()] {
        tag.extend(more);
        let bytes = encode(&tag);
        if bytes.len() > LARGEST {
            break;
        }
        fitting = bytes;
    }
    fitting
}

fn encode(tag: &Tag) -> Vec<u8> {
    let mut bytes = Vec::new();
    if tag.write_to(&mut bytes, Version::Id3v23).is_err() {
        bytes.clear();
    }
    bytes
}

fn texts(input: &Input, track: usize) -> Tag {
    let text = |key| libav::text(input, track, key).map(|text| tidy(&text));
    let text = |key| text(key).filter(|text| !text.is_empty());
    let mut tag = Tag::new();
    tag.set_text("TSSE", MAKER);
    for (key, id) in TEXTS {
        if let Some(text) = text(key) {
            tag.set_text(id, text);
        }
    }
    if let Some((year, day)) = text(c"date").as_deref().and_then(date) {
        tag.set_text("TYER", year);
        if let Some(day) = day {
            tag.set_text("TDAT", day);
        }
    }
    if let Some(text) = text(c"comment") {
        let (lang, description) = ("und".to_owned(), String::new());
        tag.add_frame(Comment { lang, description, text });
    }
    tag
}

/// A text as it may stand in a tag: of bounded length, and without control characters.
fn tidy(text: &str) -> String {
    let tidied = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c });
    tidied.take(LONGEST).collect::<String>().trim().to_owned()
}

/// ID3v2.3's year and day (`DDMM`) of a date that begins like 2024-05-17.
fn date(text: &str) -> Option<(&str, Option<String>)> {
    let digits = |from: usize, to: usize| {
        text.get(from..to).filter(|part| part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let year = digits(0, 4)?;
    let dashed = text.get(4..5) == Some("-") && text.get(7..8) == Some("-");
    let day = digits(5, 7).zip(digits(8, 10)).filter(|_| dashed);
    Some((year, day.map(|(month, day)| format!("{day}{month}"))))
}

/// The chapters of what is wanted, from its own beginning on.
fn wanted(found: Vec<Chapter>, options: &Options) -> Vec<Chapter> {
    let ms = |moment: Option<Moment>, absent| {
        moment.map_or(absent, |moment| u32::try_from(moment.ms()).unwrap_or(u32::MAX))
    };
    let (start, end) = (ms(options.start, 0), ms(options.end, u32::MAX));
    let cut = found.into_iter().map(|chapter| Chapter {
        start_ms: chapter.start_ms.clamp(start, end) - start,
        end_ms: chapter.end_ms.clamp(start, end) - start,
        ..chapter
    });
    cut.filter(|chapter| chapter.start_ms < chapter.end_ms).collect()
}

/// The frames for chapters: one for each, and their table.
fn chapters(found: Vec<Chapter>) -> Vec<Frame> {
    if found.is_empty() {
        return Vec::new();
    }
    let one = |(number, chapter): (usize, Chapter)| {
        let title = chapter.title.as_deref().map(tidy).filter(|title| !title.is_empty());
        frame::Chapter {
            element_id: format!("chp{number}"),
            start_time: chapter.start_ms,
            end_time: chapter.end_ms,
            // Not known, as the standard writes it.
            start_offset: u32::MAX,
            end_offset: u32::MAX,
            frames: title.map(|title| Frame::text("TIT2", title)).into_iter().collect(),
        }
    };
    let chapters: Vec<_> = found.into_iter().take(MOST_CHAPTERS).enumerate().map(one).collect();
    let table = TableOfContents {
        element_id: "toc".to_owned(),
        top_level: true,
        ordered: true,
        elements: chapters.iter().map(|chapter| chapter.element_id.clone()).collect(),
        frames: Vec::new(),
    };
    let table = Frame::with_content("CTOC", Content::TableOfContents(table));
    std::iter::once(table).chain(chapters.into_iter().map(Frame::from)).collect()
}

/// A cover, if its bytes are of a kind that players show.
fn picture(data: &[u8]) -> Option<Picture> {
    let mime_type = match data {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        _ => return None,
    };
    Some(Picture {
        mime_type: mime_type.to_owned(),
        picture_type: PictureType::CoverFront,
        description: String::new(),
        data: data.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_date_gives_what_of_it_is_known() {
        assert_eq!(date("2024"), Some(("2024", None)));
        assert_eq!(date("2024-05-17T10:00:00Z"), Some(("2024", Some("1705".to_owned()))));
        assert_eq!(date("May 2024"), None);
    }

    #[test]
    fn chapters_come_back_as_they_were() {
        let one = |start_ms, title: &str| Chapter {
            start_ms,
            end_ms: start_ms + 500,
            title: Some(title.to_owned()),
        };
        let mut tag = Tag::new();
        tag.extend(chapters(vec![one(0, "Anfang"), one(500, "Größe – 終")]));
        let read = Tag::read_from2(std::io::Cursor::new(encode(&tag))).unwrap();
        assert_eq!(read.version(), Version::Id3v23);
        let titles: Vec<_> = read.chapters().map(|c| c.frames[0].content().text()).collect();
        assert_eq!(titles, [Some("Anfang"), Some("Größe – 終")]);
        assert_eq!(read.tables_of_contents().next().unwrap().elements, ["chp0", "chp1"]);
    }

    #[test]
    fn chapters_follow_the_cut() {
        let one = |start_ms, end_ms| Chapter { start_ms, end_ms, title: None };
        let (start, end) = ("1.5".parse().ok(), "4".parse().ok());
        let options = Options { start, end, ..Options::default() };
        let found = vec![one(0, 1000), one(1000, 2000), one(2000, 5000), one(5000, 6000)];
        assert_eq!(wanted(found, &options), [one(0, 500), one(500, 2500)]);
    }

    proptest! {
        #[test]
        fn no_text_is_too_long_or_unprintable(text: String) {
            let tidied = tidy(&text);
            prop_assert!(tidied.chars().count() <= LONGEST);
            prop_assert!(!tidied.contains(|c: char| c.is_control() && c != '\n'));
            let _ = date(&text);
        }
    }
}
