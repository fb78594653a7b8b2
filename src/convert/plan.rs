//! From what the user named to pairs of video and MP3. What must hold: the name of an MP3 follows
//! from the video and from what lies beside it, never from the order of the call, so that a re-run
//! finds what an earlier one made.
//!
//! A video that is the only one of its stem in its folder becomes `stem.mp3`; `a.mp4` and `a.mkv`
//! become `a (mp4).mp3` and `a (mkv).mp3`, also where only one of them is asked for. Where videos of
//! several folders would meet in one, their folders' names tell them apart.

use crate::{error::Error, target::is_folder};
use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf, absolute},
};
use walkdir::WalkDir;

/// What a folder is searched for; files named themselves may end in anything.
pub(crate) const MEDIA: &[&str] = &[
    "3g2", "3gp", "asf", "avi", "divx", "f4v", "flv", "m2t", "m2ts", "m2v", "m4v", "mkv", "mov",
    "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "ogm", "ogv", "qt", "rm", "rmvb", "ts", "vob",
    "webm", "wmv", // Sound alone:
    "aac", "aif", "aiff", "flac", "m4a", "m4b", "mka", "oga", "ogg", "opus", "wav", "wma",
];

/// A video, and where its MP3 goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Item {
    /// The video.
    pub(crate) video: PathBuf,
    /// Its MP3.
    pub(crate) mp3: PathBuf,
}

/// A video that was found, before its MP3 has a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Found {
    video: PathBuf,
    /// The folder of its MP3.
    folder: PathBuf,
    /// The folder that the user named, or that of the file that the user named.
    root: PathBuf,
}

/// Every video in `inputs` with its MP3, by name; and what could not be searched.
pub(crate) fn plan(
    inputs: &[PathBuf],
    out: Option<&Path>,
) -> Result<(Vec<Item>, Vec<Error>), Error> {
    if let Some(out) = out.filter(|out| !is_folder(out)) {
        let shown = out.display();
        return match inputs {
            [video] if !video.is_dir() => {
                readable(video)?;
                Ok((vec![Item { video: video.clone(), mp3: out.to_owned() }], Vec::new()))
            }
            _ => Err(Error::Usage(format!(
                "several MP3s need a folder, and {shown} is none. Write -o {shown}/ to make it"
            ))),
        };
    }
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for input in inputs {
        if input.is_dir() {
            walk(input, out, &mut found, &mut faults);
        } else {
            readable(input)?;
            let root = parent(input);
            let folder = out.map_or_else(|| root.clone(), Path::to_owned);
            found.push(Found { video: input.clone(), folder, root });
        }
    }
    Ok((named(found)?, faults))
}

/// Every media file below `root`. Links are followed, loops are not.
fn walk(root: &Path, out: Option<&Path>, found: &mut Vec<Found>, faults: &mut Vec<Error>) {
    let hidden = |name: &OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(root).follow_links(true).sort_by_file_name().into_iter();
    for entry in entries.filter_entry(|entry| entry.depth() == 0 || !hidden(entry.file_name())) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && is_media(entry.path()) => {
                let video = entry.into_path();
                let folder = parent(&video);
                let below = folder.strip_prefix(root).unwrap_or(Path::new(""));
                let folder = out.map_or_else(|| folder.clone(), |out| out.join(below));
                found.push(Found { video, folder, root: root.to_owned() });
            }
            Ok(_) => {}
            Err(fault) if fault.loop_ancestor().is_some() => {}
            // A link to nothing is no video.
            Err(fault) if fault.io_error().is_some_and(|e| e.kind() == io::ErrorKind::NotFound) => {
            }
            Err(fault) => faults.push(Error::failed(format!("cannot search {fault}"))),
        }
    }
}

fn readable(video: &Path) -> Result<(), Error> {
    let shown = video.display();
    match fs::metadata(video) {
        Err(cause) => Err(Error::Usage(format!("cannot read {shown}: {cause}"))),
        Ok(file) if !file.is_file() => Err(Error::Usage(format!("{shown} is not a file"))),
        Ok(_) => Ok(()),
    }
}

/// Gives every MP3 its name.
fn named(found: Vec<Found>) -> Result<Vec<Item>, Error> {
    let mut bearers: HashMap<PathBuf, HashSet<PathBuf>> = HashMap::new();
    let folders: HashSet<_> = found.iter().map(|each| parent(&each.video)).collect();
    let beside = folders.iter().flat_map(|folder| media_in(folder));
    for video in beside.chain(found.iter().map(|each| each.video.clone())) {
        bearers.entry(video.with_extension("")).or_default().insert(video);
    }
    let mut plain = Vec::new();
    // The same video twice is one.
    for each in found.into_iter().collect::<HashSet<_>>() {
        let alone = bearers.get(&each.video.with_extension("")).is_none_or(|all| all.len() < 2);
        let name = name(&each.video, each.video.extension().filter(|_| !alone));
        plain.push((each, name));
    }
    let mut count: HashMap<PathBuf, usize> = HashMap::new();
    plain.iter().for_each(|(each, name)| *count.entry(each.folder.join(name)).or_default() += 1);
    let mut items: HashMap<PathBuf, PathBuf> = HashMap::new();
    for (each, name) in plain {
        let mut mp3 = each.folder.join(name);
        if count.get(&mp3).is_some_and(|count| *count > 1) {
            let root = absolute(&each.root).unwrap_or(each.root);
            mp3 = each.folder.join(self::name(&mp3, root.file_name()));
        }
        if let Some(other) = items.insert(mp3.clone(), each.video.clone()) {
            return Err(Error::Usage(format!(
                "{} and {} would both become {}. Convert them into different folders",
                other.display(),
                each.video.display(),
                mp3.display()
            )));
        }
    }
    let mut items: Vec<_> = items.into_iter().map(|(mp3, video)| Item { video, mp3 }).collect();
    items.sort_unstable();
    Ok(items)
}

/// `stem.mp3`, or `stem (mark).mp3`.
fn name(path: &Path, mark: Option<&OsStr>) -> OsString {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    if let Some(mark) = mark {
        name.push(" (");
        name.push(mark);
        name.push(")");
    }
    name.push(".mp3");
    name
}

fn media_in(folder: &Path) -> Vec<PathBuf> {
    let place = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let names = fs::read_dir(place).into_iter().flatten().flatten();
    names.map(|entry| folder.join(entry.file_name())).filter(|path| is_media(path)).collect()
}

fn is_media(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    MEDIA.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("")).to_owned()
}

/// Why the file at `mp3` may not be what `video` would become; none where it is.
pub(crate) fn doubt(video: &Path, mp3: &Path) -> Option<&'static str> {
    let read = || -> io::Result<_> {
        let (video, mut file) = (fs::metadata(video)?, File::open(mp3)?);
        let mut start = [0; 3];
        let sound = file.read_exact(&mut start).is_ok()
            && (start == *b"ID3" || (start[0] == 0xff && start[1] & 0xe0 == 0xe0));
        Ok((sound, file.metadata()?.modified()? < video.modified()?))
    };
    match read() {
        Err(_) => Some("exists and cannot be read"),
        Ok((false, _)) => Some("exists and is no MP3"),
        Ok((true, true)) => Some("is older than its video"),
        Ok((true, false)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, time::SystemTime};

    /// A folder with these files.
    fn tree(files: &[&str]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for file in files {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        root
    }

    /// The MP3s' paths below the folder.
    fn mp3s(root: &Path, inputs: &[&str], out: Option<&str>) -> Vec<String> {
        let inputs: Vec<_> = inputs.iter().map(|input| root.join(input)).collect();
        let (items, faults) = plan(&inputs, out.map(|out| root.join(out)).as_deref()).unwrap();
        assert!(faults.is_empty(), "{faults:?}");
        let below = |item: &Item| item.mp3.strip_prefix(root).unwrap().display().to_string();
        items.iter().map(below).collect()
    }

    #[test]
    fn the_tree_keeps_its_shape_and_only_media_are_found() {
        let root = tree(&["in/a.MP4", "in/s/b.mkv", "in/s/c.txt", "in/.h/d.mp4", "in/.e.mp4"]);
        symlink(root.path().join("in"), root.path().join("in/s/loop")).unwrap();
        symlink("nowhere", root.path().join("in/gone.mp4")).unwrap();
        assert_eq!(mp3s(root.path(), &["in"], Some("out")), ["out/a.mp3", "out/s/b.mp3"]);
        assert_eq!(mp3s(root.path(), &["in"], None), ["in/a.mp3", "in/s/b.mp3"]);
        assert_eq!(mp3s(root.path(), &["in/s/c.txt"], None), ["in/s/c.mp3"]);
    }

    #[test]
    fn clashing_stems_are_told_apart_whatever_the_order() {
        let root = tree(&["a.mkv", "a.mp4", "b.mp4", "x/b.mp4"]);
        let both = ["a (mkv).mp3", "a (mp4).mp3"];
        assert_eq!(mp3s(root.path(), &["a.mkv", "a.mp4"], None), both);
        assert_eq!(mp3s(root.path(), &["a.mp4", "a.mkv", "a.mp4"], None), both);
        // One alone has the name that it has beside the other.
        assert_eq!(mp3s(root.path(), &["a.mp4"], None), ["a (mp4).mp3"]);
        let met = mp3s(root.path(), &["x/b.mp4", "b.mp4"], Some("out/"));
        assert!(met.len() == 2 && met.contains(&"out/b (x).mp3".to_owned()), "{met:?}");
    }

    #[test]
    fn an_mp3_is_done_when_it_is_one_and_not_older() {
        let root = tree(&["a.mp4", "a.mp3"]);
        let (video, mp3) = (root.path().join("a.mp4"), root.path().join("a.mp3"));
        assert_eq!(doubt(&video, &mp3), Some("exists and is no MP3"));
        fs::write(&mp3, [0xff, 0xfb, 0x90]).unwrap();
        assert_eq!(doubt(&video, &mp3), None);
        let file = File::options().write(true).open(&mp3).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(doubt(&video, &mp3), Some("is older than its video"));
    }
}
