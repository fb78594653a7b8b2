//! Decoders that have been taken over: whatever they say, the attempt stays sane.

use super::*;
use domain::Exit;
use std::{fs::File, io::Write, sync::Arc};
use tokio::process::Command;

fn order() -> Order {
    Order {
        options: Options::default(),
        run_limit: Duration::from_secs(60),
        threads: 1,
        serial: false,
        more_memory: false,
    }
}

/// What becomes of a decoder that does what the shell script says.
async fn verdict(script: &str, order: &Order) -> Verdict {
    let mut video: File = tempfile::tempfile().unwrap();
    video.write_all(&[7; 1000]).unwrap();
    let mut program = Command::new("/bin/sh");
    program.args(["-c", script]);
    let child = Child::spawn(program, &order.job(1000)).await.unwrap();
    let mut sink = Sink::File(tempfile::tempfile().unwrap().into());
    let source = Source::File(Arc::new(video), 1000);
    supervise(order, child, source, &mut sink, &Cell::default()).await
}

/// One frame as `printf` writes it, with payload bytes in octal.
fn say(kind: char, length: u32, payload: &str) -> String {
    let length = length.to_le_bytes().map(|byte| format!("\\{byte:03o}")).concat();
    // A single per cent sign would be a directive.
    let kind = if kind == '%' { "%%".to_owned() } else { kind.to_string() };
    format!("printf '{kind}{length}{payload}';")
}

fn number(number: u64) -> String {
    number.to_le_bytes().map(|byte| format!("\\{byte:03o}")).concat()
}

#[tokio::test]
async fn what_breaks_the_rules_is_trouble() {
    let append = say('a', 3, "mp3");
    let breaks = [
        "echo 'GET / HTTP/1.1'; cat".to_owned(),
        say('a', u32::MAX, "") + "cat",
        say('a', 2 << 20, "") + "cat",
        say('z', 0, ""),
        // Nothing was appended, or not so far.
        say('p', 9, &(number(0) + "x")),
        append.clone() + &say('p', 10, &(number(2) + "xy")),
        append.clone() + &say('p', 9, &(number(u64::MAX) + "x")),
        // No MP3, more sound than there can be, more than the longest.
        facts() + &say('d', 8, &number(1000)),
        facts() + &append + &say('d', 8, &number(u64::MAX)),
        // Half a loudness, and one that is no number.
        facts() + &append + &say('d', 16, &(number(1000) + &number(0))),
        facts() + &append + &say('d', 32, &(number(1000) + &number(u64::MAX).repeat(3))),
        // A read larger than any of ours, a reason that does not exist.
        say('r', 12, &(number(0) + "\\377\\377\\377\\377")),
        say('f', 1, "\\011"),
    ];
    for script in breaks {
        let verdict = verdict(&script, &order()).await;
        assert!(matches!(&verdict, Verdict::Trouble(_)), "{script}: {verdict:?}");
    }
}

const FACTS: &str = r#"{"origin":{"container":"wav","codec":"pcm_s16le","track":1,"tracks":[{"number":1,"codec":"pcm_s16le","language":null,"channels":2,"sample_rate":48000,"default":false}]},"sample_rate":48000,"channels":2}"#;

fn facts() -> String {
    say('i', u32::try_from(FACTS.len()).unwrap(), FACTS)
}

/// One pixel of a waveform, and a peak of 0 dB.
fn waveform(low: u8, high: u8) -> String {
    let rate = "\\200\\273\\0\\0";
    say('w', 18, &format!("{rate}\\0\\1\\0\\0{}\\{low:03o}\\{high:03o}", number(0)))
}

#[tokio::test]
async fn what_is_told_beside_the_mp3_is_kept() {
    let notices = say('n', 3, "odd").repeat(9);
    let script = facts()
        + &say('a', 3, "mp3")
        + &notices
        + &waveform(200, 100)
        + &say('d', 8, &number(1000));
    let made = match verdict(&script, &order()).await {
        Verdict::Converted(made) => made,
        other => panic!("{other:?}"),
    };
    assert_eq!(
        (made.duration_ms, made.length, made.facts.origin.codec.as_str()),
        (1000, 3, "pcm_s16le")
    );
    assert_eq!(made.warnings, ["odd"; 4]);
    let beside = made.beside(&order().options, Duration::from_millis(1500)).unwrap();
    let report: serde_json::Value = serde_json::from_str(&beside.report).unwrap();
    assert_eq!((&report["took_ms"], &report["peak_dbfs"]), (&1500.into(), &0.into()));
    let waveform: serde_json::Value = serde_json::from_str(&beside.waveform.unwrap()).unwrap();
    assert_eq!(waveform["data"], serde_json::json!([-56, 100]));
}

#[tokio::test]
async fn what_is_said_once_is_not_said_twice_and_not_left_out() {
    let (append, done) = (say('a', 3, "mp3"), say('d', 8, &number(1000)));
    let pixel = waveform(200, 100);
    for breaks in [
        append.clone() + &done,
        append.clone() + &pixel + &done,
        facts() + &facts() + &append + &done,
        facts() + &append + &pixel + &pixel + &done,
        facts() + &append + &waveform(100, 200) + &done,
    ] {
        let verdict = verdict(&breaks, &order()).await;
        assert!(matches!(&verdict, Verdict::Trouble(_)), "{breaks}: {verdict:?}");
    }
    // Where nothing is decoded there is no waveform.
    let verdict = verdict(&(facts() + &append + &done), &order()).await;
    assert!(matches!(&verdict, Verdict::Converted(made) if made.drawn.is_none()), "{verdict:?}");
}

#[tokio::test]
async fn more_mp3_than_the_sound_can_make_is_trouble() {
    let flood = format!("dd if=/dev/zero bs=65536 count=1 2>/dev/null; {}", "");
    let script = (0..5).map(|_| say('a', 65_536, "") + &flood).collect::<String>();
    let verdict = verdict(&(facts() + &script + &say('d', 8, &number(1))), &order()).await;
    assert!(matches!(&verdict, Verdict::Trouble(_)), "{verdict:?}");
}

#[tokio::test]
async fn reads_beyond_the_end_get_what_there_is() {
    let job = serde_json::to_vec(&order().job(1000)).unwrap().len();
    // The job, the last hundred bytes of the video, and an empty answer, each with its header.
    let answers = 5 + job + 5 + 100 + 5;
    let script = say('r', 12, &(number(900) + "\\377\\0\\0\\0"))
        + &say('r', 12, &(number(u64::MAX) + "\\377\\0\\0\\0"))
        + &format!("test $(head -c {answers} | wc -c) = {answers} && exit 76");
    let verdict = verdict(&script, &order()).await;
    assert!(matches!(verdict, Verdict::Memory(_)), "{verdict:?}");
}

#[tokio::test]
async fn silence_ends_at_the_run_limit() {
    let short = Order { run_limit: Duration::from_millis(50), ..order() };
    match verdict("read job; read more", &short).await {
        Verdict::Failed(failure) => assert_eq!(failure.reason, Reason::Deadline),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_decoder_that_ends_without_a_word_is_judged_by_its_end() {
    let memory = format!("exit {}", Exit::OutOfMemory.code());
    assert!(matches!(verdict(&memory, &order()).await, Verdict::Memory(_)));
    for trouble in ["exit 0", "kill -SYS $$", "kill -KILL $$", "exit 101"] {
        assert!(matches!(verdict(trouble, &order()).await, Verdict::Trouble(_)), "{trouble}");
    }
    for crash in ["kill -SEGV $$", "kill -ABRT $$"] {
        match verdict(crash, &order()).await {
            Verdict::Failed(failure) => assert_eq!(failure.reason, Reason::NotMedia, "{crash}"),
            other => panic!("{crash}: {other:?}"),
        }
    }
    match verdict("echo 'last \u{1b}[31m words' >&2; exit 3", &order()).await {
        Verdict::Trouble(detail) => {
            assert!(detail.ends_with("last  [31m words"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_failure_keeps_its_reason_and_loses_its_tricks() {
    let script =
        say('%', 9, &("\\052".to_owned() + &number(0))) + &say('f', 6, "\\002a\\012b\\033c");
    match verdict(&script, &order()).await {
        Verdict::Failed(Failure { reason, detail }) => {
            assert_eq!((reason, detail.as_str()), (Reason::NoAudioTrack, "a b c"));
        }
        other => panic!("{other:?}"),
    }
}
