//! A Job that the API server judges and does not keep: what is wrong with settings and policies is
//! told at the start, and not by the first upload.

use super::job::{JobConfig, Outlook, build};
use domain::{
    Conversion, ConversionId, FileName, NewConversion, Options, Role, Sha256, Video, VideoId,
};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;

/// A Job as any other, of a video that does not exist.
pub(super) fn job(config: &JobConfig) -> Option<Job> {
    let now = Timestamp::now();
    let video = Video {
        id: VideoId::generate(),
        owner: "trial".parse().ok()?,
        name: FileName::from("trial".to_owned()),
        length: 0,
        sha256: Sha256::from([0; 32]),
        created_at: now,
        expires_at: None,
        deleted: false,
        foreign_fid: None,
    };
    let new = NewConversion {
        video: &video,
        role: Role::User,
        options: Options::default(),
        idempotency: None,
        mp3_kept_for: None,
    };
    Some(build(config, &Conversion::new(ConversionId::generate(), new, now), &Outlook::default()))
}
