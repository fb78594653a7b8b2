//! Files that are known, and not ours: their owner reads what it is that was uploaded.

/// What they begin with, and what they are.
const KNOWN: [(&[u8], &str); 15] = [
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a playlist"),
    (b"<?xml", "an XML file, such as a playlist"),
    (b"[playlist]", "a playlist"),
    (b"v=0\r\n", "a session description"),
    (b"v=0\no=", "a session description"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "an archive"),
    (b"Rar!", "an archive"),
    (b".RMF", "RealMedia"),
    (b"MThd", "a MIDI file"),
    (b"MAC ", "Monkey's Audio"),
];

/// What a file is that begins so, where it is none that can be converted.
pub(super) fn kind(head: &[u8]) -> Option<&'static str> {
    let found = KNOWN.iter().find(|(magic, _)| head.starts_with(magic));
    found.map(|(_, kind)| *kind)
}
