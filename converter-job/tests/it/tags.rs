//! What a video says of itself is in the MP3.

use crate::{
    material::{Folder, ffmpeg},
    program::local,
};
use id3::{Tag, TagLike, Version};
use std::fs;

const CHAPTERS: &str = ";FFMETADATA1\ntitle=Größe – 終\nartist=Ada & Co\nalbum=Proben\ndate=2024-05-17\n\
track=3/12\ncomment=erste Zeile\\\nzweite\ngenre=Jazz\n\
[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=Anfang\n\
[CHAPTER]\nTIMEBASE=1/1000\nSTART=1000\nEND=2000\ntitle=Schluß\n";

fn tag(folder: &Folder, video: &str) -> Tag {
    let mp3 = folder.path(&format!("{video}.mp3"));
    let ended = local(&folder.path(video), &mp3, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.line());
    let tag = Tag::read_from_path(&mp3).unwrap();
    assert_eq!(tag.version(), Version::Id3v23);
    tag
}

#[test]
fn texts_and_chapters_are_kept() {
    let folder = Folder::new();
    let told = folder.file("told.txt", CHAPTERS.as_bytes());
    let told = told.to_str().unwrap();
    let sound = ["-f", "lavfi", "-i", "sine=d=2", "-i", told];
    for (name, codec) in [("a.mp4", "aac"), ("a.mkv", "aac"), ("a.ogg", "libvorbis")] {
        ffmpeg(&sound, &format!("-map_metadata 1 -c:a {codec}"), &folder.path(name));
        let tag = tag(&folder, name);
        assert_eq!(tag.title(), Some("Größe – 終"), "{name}");
        assert_eq!((tag.artist(), tag.album()), (Some("Ada & Co"), Some("Proben")), "{name}");
        assert_eq!((tag.track(), tag.total_tracks()), (Some(3), Some(12)), "{name}");
        assert_eq!(tag.year(), Some(2024), "{name}");
        let comment = tag.comments().next().unwrap();
        assert_eq!(comment.text, "erste Zeile\nzweite", "{name}");
        // FFmpeg writes no chapters into OGG.
        if codec == "libvorbis" {
            continue;
        }
        let chapters: Vec<_> = tag.chapters().map(|c| (c.start_time, c.end_time)).collect();
        assert_eq!(chapters, [(0, 1000), (1000, 2000)], "{name}");
        let title = tag.chapters().nth(1).and_then(|c| c.frames[0].content().text());
        assert_eq!(title, Some("Schluß"), "{name}");
    }
}

#[test]
fn a_cover_is_kept_where_it_is_not_too_large() {
    let folder = Folder::new();
    for (name, side, kept) in [("small.m4a", 200, true), ("large.m4a", 2000, false)] {
        let picture = folder.path("cover.png");
        ffmpeg(
            &["-f", "lavfi", "-i", &format!("nullsrc=s={side}x{side},geq=random(1)*255")],
            "-frames:v 1",
            &picture,
        );
        let inputs = ["-f", "lavfi", "-i", "sine=d=1", "-i", picture.to_str().unwrap()];
        let arguments = "-map 0 -map 1 -c:a aac -c:v copy -disposition:v attached_pic";
        ffmpeg(&inputs, arguments, &folder.path(name));
        let tag = tag(&folder, name);
        let cover =
            tag.pictures().next().map(|cover| (cover.mime_type.clone(), cover.data.clone()));
        let wanted = kept.then(|| ("image/png".to_owned(), fs::read(&picture).unwrap()));
        assert!(cover == wanted, "{name}");
    }
}
