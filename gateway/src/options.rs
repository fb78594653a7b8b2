//! The options of a conversion as the API has them: in an address, in JSON, and in answers. How they
//! are read and what they may be stands in `domain`; here they are described.

use crate::error::Error;
use domain::Options;
use utoipa::{
    IntoParams, PartialSchema, ToSchema,
    openapi::{
        RefOr, Required, Schema,
        path::{Parameter, ParameterBuilder, ParameterIn},
    },
};

/// How to convert. What is absent is left to the preset and the sound.
#[derive(ToSchema)]
#[schema(as = Options)]
#[expect(dead_code, reason = "it describes the API")]
pub(crate) struct OptionsView {
    /// `v2` where it is absent.
    preset: Option<PresetName>,
    /// Whether a file that ends too early is converted as far as it goes.
    allow_truncated: Option<bool>,
    /// A constant bit rate in kbit/s instead of the preset's: 32, 40, 48, 56, 64, 80, 96, 112, 128, 160,
    /// 192, 224, 256 or 320. Not with `quality`.
    #[schema(minimum = 32, maximum = 320, example = 160)]
    bit_rate: Option<u16>,
    /// A variable bit rate instead of the preset's: 0, the best, to 9. Not with `bit_rate`.
    #[schema(maximum = 9, example = 3)]
    quality: Option<u8>,
    /// As the sound where it is absent; two channels are then `joint`.
    channels: Option<ChannelsName>,
    /// Samples a second: 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 or 48000. As the sound
    /// where it is absent, or the nearest.
    #[schema(minimum = 8000, maximum = 48000, example = 44100)]
    sample_rate: Option<u32>,
    /// Which track of sound: its number, from 1 to 32, or its language by three letters of ISO 639-2.
    /// The one that a player would choose where it is absent.
    #[schema(pattern = "^([1-9]|[12][0-9]|3[0-2]|[A-Za-z]{3})$", example = "eng")]
    track: Option<String>,
    /// Seconds from the beginning; what comes before is left out. Kept in milliseconds.
    #[schema(minimum = 0, maximum = 43200, example = 12.5)]
    start: Option<f64>,
    /// Seconds from the beginning; what comes after is left out.
    #[schema(minimum = 0, maximum = 43200, example = 90)]
    end: Option<f64>,
    /// Makes it as loud as this by EBU R128, in LUFS: one gain, lower where the true peak forbids more.
    #[schema(minimum = -70, maximum = -5, example = -16)]
    loudness: Option<f64>,
    /// The highest true peak that `loudness` may lead to, in dBTP; -1 where it is absent.
    #[schema(minimum = -20, maximum = 0, example = -1)]
    true_peak: Option<f64>,
}

/// What was measured of the sound, and the gain that it got.
#[derive(ToSchema)]
#[schema(as = Loudness)]
#[expect(dead_code, reason = "it describes the API")]
pub(crate) struct LoudnessView {
    /// By EBU R128, before the gain.
    #[schema(example = -23.4)]
    integrated_lufs: f64,
    /// Before the gain.
    #[schema(example = -5.2)]
    true_peak_dbtp: f64,
    /// What was added to both.
    #[schema(example = 4.2)]
    gain_db: f64,
}

/// The names of presets: LAME's variable bit rates, and constant ones in kbit/s.
#[derive(ToSchema)]
#[schema(as = Preset)]
#[expect(dead_code, reason = "it describes the API")]
pub(crate) enum PresetName {
    #[schema(rename = "v0")]
    V0,
    #[schema(rename = "320")]
    Cbr320,
    #[schema(rename = "256")]
    Cbr256,
    #[schema(rename = "v2")]
    V2,
    #[schema(rename = "192")]
    Cbr192,
    #[schema(rename = "v4")]
    V4,
    #[schema(rename = "128")]
    Cbr128,
    /// One channel, 64 kbit/s, -16 LUFS.
    #[schema(rename = "speech")]
    Speech,
    /// MP3 as it is, other sound as v2.
    #[schema(rename = "copy")]
    Copy,
}

/// One channel; two, each for itself; two, together where that saves bits.
#[derive(ToSchema)]
#[schema(as = Channels, rename_all = "lowercase")]
#[expect(dead_code, reason = "it describes the API")]
pub(crate) enum ChannelsName {
    Mono,
    Stereo,
    Joint,
}

impl IntoParams for OptionsView {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let RefOr::T(Schema::Object(options)) = Self::schema() else {
            return Vec::new();
        };
        let parameter = |(name, schema)| {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Query);
            parameter.required(Required::False).schema(Some(schema)).build()
        };
        options.properties.into_iter().map(parameter).collect()
    }
}

/// The options that a query says.
pub(crate) fn of_query(query: &str) -> Result<Options, Error> {
    checked(serde_urlencoded::from_str(query).map_err(Error::bad_request)?)
}

/// The options, unless they contradict one another.
pub(crate) fn checked(options: Options) -> Result<Options, Error> {
    options.validate().map(|()| options).map_err(Error::bad_request)
}
