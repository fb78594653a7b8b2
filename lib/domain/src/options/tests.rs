//! Options are read the same wherever they stand, and what will not do says what would.

use super::*;
use proptest::prelude::*;
use serde_json::{from_value, json, to_value};

fn read(value: serde_json::Value) -> Result<Options, serde_json::Error> {
    from_value(value)
}

#[test]
fn what_was_written_before_an_option_existed_reads_and_is_written_as_it_was() {
    let old = json!({"preset": "v0", "allow_truncated": false});
    let options = read(old.clone()).unwrap();
    assert_eq!(options, Options { preset: Preset::V0, ..Options::default() });
    assert_eq!(to_value(&options).unwrap(), old);
    assert_eq!(read(json!({"preset": "v2"})).unwrap(), Options::default());
}

#[test]
fn numbers_and_their_texts_mean_the_same() {
    let spoken =
        json!({"bit_rate": 192, "start": 1.5, "end": 90, "track": 2, "sample_rate": 22050});
    let written = json!({
        "bit_rate": "192", "start": "1.5", "end": "90", "track": "2", "sample_rate": "22050",
        "allow_truncated": "false",
    });
    let options = read(spoken).unwrap();
    assert_eq!(read(written).unwrap(), options);
    let kept = json!({
        "preset": "v2", "allow_truncated": false, "bit_rate": 192, "start": 1.5, "end": 90,
        "track": "2", "sample_rate": 22050,
    });
    assert_eq!(to_value(options).unwrap(), kept);
}

#[test]
fn what_will_not_do_says_what_would() {
    for (wrong, sentence) in [
        (json!({"bit_rate": 100}), "bit_rate is one of 32"),
        (json!({"bit_rate": 192.5}), "bit_rate is one of 32"),
        (json!({"quality": 10}), "quality is a number from 0"),
        (json!({"quality": "best"}), "quality is a number from 0"),
        (json!({"channels": "5.1"}), "channels is one of mono"),
        (json!({"sample_rate": 96000}), "sample_rate is one of 8000"),
        (json!({"track": 0}), "track is a number from 1 to 32"),
        (json!({"track": "en"}), "three letters"),
        (json!({"track": 1.5}), "track is a number"),
        (json!({"start": -1}), "start and end are seconds"),
        (json!({"end": "inf"}), "start and end are seconds"),
        (json!({"loudness": -4.99}), "loudness is a number of LUFS"),
        (json!({"true_peak": 0.5}), "true_peak is a number of dBTP"),
        (json!({"end": "nan"}), "start and end are seconds"),
        (json!({"allow_truncated": "yes"}), "true or false"),
    ] {
        let told = read(wrong.clone()).unwrap_err().to_string();
        assert!(told.contains(sentence), "{wrong}: {told}");
    }
}

#[test]
fn contradictions_are_refused() {
    for (wrong, sentence) in [
        (json!({"bit_rate": 64, "quality": 2}), "one of the two"),
        (json!({"start": 2, "end": 2}), "end has to come after start"),
        (json!({"end": 0}), "end has to come after start"),
        (json!({"bit_rate": 192, "sample_rate": 24000}), "160 kbit/s"),
        (json!({"preset": "128", "sample_rate": 8000}), "160 kbit/s"),
        (json!({"true_peak": -1}), "give loudness as well"),
        (json!({"preset": "copy", "channels": "mono"}), "copy takes the sound as it is"),
        (json!({"preset": "copy", "end": 10}), "copy takes the sound as it is"),
    ] {
        let told = read(wrong.clone()).unwrap().validate().unwrap_err().to_string();
        assert!(told.contains(sentence), "{wrong}: {told}");
    }
    for fine in [
        json!({}),
        json!({"bit_rate": 160, "sample_rate": 24000}),
        json!({"preset": "320", "bit_rate": 64, "sample_rate": 8000}),
        json!({"start": 1.999, "end": 2}),
        json!({"loudness": -16.5, "true_peak": 0}),
        json!({"preset": "copy", "track": "eng", "allow_truncated": true}),
        json!({"preset": "speech", "true_peak": -2, "sample_rate": 8000}),
    ] {
        assert_eq!(read(fine).unwrap().validate(), Ok(()));
    }
}

#[test]
fn speech_is_one_channel_of_64_at_minus_16_unless_told_otherwise() {
    let speech = read(json!({"preset": "speech"})).unwrap();
    let goal = speech.goal().unwrap();
    assert_eq!(
        (goal.loudness.to_string(), goal.true_peak.to_string()),
        ("-16".into(), "-1".into())
    );
    assert_eq!((speech.coding(), speech.channels()), (Coding::Constant(64), Some(Channels::Mono)));
    let told = json!({
        "preset": "speech", "quality": 4, "channels": "joint", "loudness": -20.25, "true_peak": -3,
    });
    let told = read(told).unwrap();
    let goal = told.goal().unwrap();
    assert_eq!(
        (goal.loudness.to_string(), goal.true_peak.to_string()),
        ("-20.25".into(), "-3".into())
    );
    assert_eq!((told.coding(), told.channels()), (Coding::Variable(4), Some(Channels::Joint)));
    let plain = Options::default();
    assert_eq!((plain.goal(), plain.channels()), (None, None));
}

#[test]
fn a_language_has_one_meaning_and_may_have_two_codes() {
    let is = |one: &str, other: &str| {
        one.parse::<Language>().unwrap().is(other.parse::<Language>().unwrap())
    };
    assert!(is("eng", "ENG") && is("ger", "deu") && is("deu", "ger") && is("fre", "fre"));
    assert!(!is("eng", "ger") && !is("dut", "deu"));
}

fn options() -> impl Strategy<Value = Options> {
    let rates = prop::sample::select(vec![32.0, 64.0, 320.0]);
    let hertz = prop::sample::select(vec![8000.0, 22_050.0, 48_000.0]);
    let channels = prop::sample::select(vec![Channels::Mono, Channels::Stereo, Channels::Joint]);
    let track = prop_oneof![(1..=32_u8).prop_map(|n| n.to_string()), "[a-zA-Z]{3}"];
    let some = prop::option::of::<BoxedStrategy<Moment>>;
    let lufs = (-7000..=-500).prop_map(|parts| (f64::from(parts) / 100.0).try_into().unwrap());
    let dbtp = (-2000..=0).prop_map(|parts| (f64::from(parts) / 100.0).try_into().unwrap());
    let moment =
        || (0..=43_200_000_u32).prop_map(|ms| (f64::from(ms) / 1000.0).try_into().unwrap());
    (
        prop::sample::select(&Preset::ALL[..]),
        any::<bool>(),
        prop::option::of(rates.prop_map(|rate| rate.try_into().unwrap())),
        prop::option::of((0..=9_u8).prop_map(|level| f64::from(level).try_into().unwrap())),
        prop::option::of(channels),
        prop::option::of(hertz.prop_map(|rate| rate.try_into().unwrap())),
        prop::option::of(track.prop_map(|track| track.parse().unwrap())),
        some(moment().boxed()),
        (some(moment().boxed()), prop::option::of(lufs), prop::option::of(dbtp)),
    )
        .prop_map(
            |(
                preset,
                allow_truncated,
                bit_rate,
                quality,
                channels,
                sample_rate,
                track,
                start,
                (end, loudness, true_peak),
            )| {
                Options {
                    preset,
                    allow_truncated,
                    bit_rate,
                    quality,
                    channels,
                    sample_rate,
                    track,
                    start,
                    end,
                    loudness,
                    true_peak,
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_or_said_is_read_back(options in options()) {
        let written = to_value(&options).unwrap();
        prop_assert_eq!(&read(written).unwrap(), &options);
        let said = options.said().map(|(name, text)| (name.to_owned(), text.into()));
        let said = serde_json::Value::Object(said.collect());
        prop_assert_eq!(&read(said).unwrap(), &options);
    }

    #[test]
    fn no_text_is_taken_for_what_it_is_not(text in ".{0,12}") {
        if let Ok(moment) = text.parse::<Moment>() {
            prop_assert!(moment.ms() <= 43_200_000);
            let again = moment.to_string().parse();
            prop_assert_eq!(again, Ok(moment));
        }
        if let Ok(track) = text.parse::<Track>() {
            let plain = text.to_ascii_lowercase();
            prop_assert_eq!(track.to_string(), plain.trim_start_matches(['+', '0']));
        }
        let _ = (text.parse::<BitRate>(), text.parse::<Quality>(), text.parse::<SampleRate>());
    }
}
