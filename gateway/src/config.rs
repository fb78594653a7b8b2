//! The environment of the gateway, read once before any socket opens.
//!
//! | variable | meaning |
//! |---|---|
//! | `GATEWAY_LISTEN` | address and port; `127.0.0.1:8080` |
//! | `GATEWAY_AUTH_URL` | where auth answers, as `http://auth:5000` |
//! | `GATEWAY_MAX_UPLOAD_BYTES` | longest video in bytes; 20 GiB |
//! | `GATEWAY_MAX_UPLOADS` | uploads at one time, 5 MiB of memory each; 128 |
//! | `GATEWAY_MIN_FREE_BYTES` | free disk below which nothing is taken in; 1 GiB |
//! | `GATEWAY_MAX_USER_BYTES` | bytes of videos and MP3s that one user may store; no limit |
//! | `GATEWAY_MAX_USER_WAITING` | conversions of one user that may be queued or running; no limit |
//! | `GATEWAY_VIDEO_RETENTION` | how long a video is kept, as `720h`; for good |
//! | `GATEWAY_MP3_RETENTION` | how long an MP3 is kept; for good |
//! | `GATEWAY_DRAIN_SECONDS` | how long requests in hand may take to end once it is told to stop; then come 5 s for what must be put away; 20 |
//! | `GATEWAY_TRUSTED_PROXIES` | proxies whose `X-Forwarded-For` is believed, as `10.0.0.7,10.1.0.0/16`; none |
//! | `GATEWAY_CORS_ORIGINS` | whose pages may use the API in a browser, as `https://app.example.org`, or `*`; none |
//! | `STORAGE_URL`, `QUEUE_URL` | `mongodb://..` with `amqp://..`, or both `file:/folder`; either may stand in a file that `.._FILE` names |
//! | `ADMIN_LISTEN` | where health and metrics are served, as `0.0.0.0:9090`; nowhere |
//! | `LOG`, `LOG_FORMAT` | what is logged, as in `info,gateway=debug`; `text` or `json` |

use crate::{client::TrustedProxies, cors::Origins};
use jiff::SignedDuration;
use process::{
    LogFormat,
    config::{Faults, Settings},
};
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

/// Everything that the gateway's own process needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// How it speaks HTTP.
    pub http: HttpConfig,
    /// Where videos, MP3s and records lie. It may hold a password.
    pub storage_url: SecretString,
    /// Where messages go. It may hold a password.
    pub queue_url: SecretString,
    /// Where health and metrics are served, if anywhere.
    pub admin_listen: Option<SocketAddr>,
    /// The log's filter.
    pub log: String,
    /// The log's looks.
    pub log_format: LogFormat,
}

/// How the gateway speaks HTTP.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where auth answers.
    pub auth_url: Url,
    /// Longest video, in bytes.
    pub max_upload_bytes: u64,
    /// Uploads at one time; further ones wait for a while, then read `busy`.
    pub max_uploads: usize,
    /// How long requests in hand may take to end once it is told to stop. With 5 s more it must stay below
    /// what Kubernetes gives the pod, which is 30 s unless it is told otherwise.
    pub drain: Duration,
    /// Free bytes on the disk below which nothing is taken in.
    pub min_free_bytes: u64,
    /// Bytes of videos and MP3s that one user may store.
    pub max_user_bytes: Option<u64>,
    /// Conversions of one user that may be queued or running.
    pub max_user_waiting: Option<u64>,
    /// How long a video is kept.
    pub video_retention: Option<SignedDuration>,
    /// How long an MP3 is kept.
    pub mp3_retention: Option<SignedDuration>,
    /// Proxies that are believed when they say whom they speak for.
    pub trusted_proxies: TrustedProxies,
    /// The pages that may use the API in a browser.
    pub cors_origins: Origins,
    /// Age from which auth's list of revocations is fetched anew.
    pub revocation_age: Duration,
}

impl HttpConfig {
    /// The defaults, for an auth at `auth_url`.
    pub fn new(auth_url: Url) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            auth_url,
            max_upload_bytes: 20 << 30,
            max_uploads: 128,
            drain: Duration::from_secs(20),
            min_free_bytes: 1 << 30,
            max_user_bytes: None,
            max_user_waiting: None,
            video_retention: None,
            mp3_retention: None,
            trusted_proxies: TrustedProxies::default(),
            cors_origins: Origins::default(),
            revocation_age: Duration::from_secs(5),
        }
    }

    /// The defaults as the settings change them.
    pub fn read(settings: &mut Settings, auth_url: Url) -> Self {
        let mut http = Self::new(auth_url);
        http.listen = settings.or("GATEWAY_LISTEN", http.listen);
        http.max_upload_bytes = settings.or("GATEWAY_MAX_UPLOAD_BYTES", http.max_upload_bytes);
        http.max_uploads = settings.or("GATEWAY_MAX_UPLOADS", http.max_uploads);
        if http.max_uploads == 0 {
            settings.fault("GATEWAY_MAX_UPLOADS: at least 1");
        }
        let seconds = settings.or("GATEWAY_DRAIN_SECONDS", http.drain.as_secs());
        http.drain = Duration::from_secs(seconds);
        http.trusted_proxies = settings.or("GATEWAY_TRUSTED_PROXIES", http.trusted_proxies);
        http.cors_origins = settings.or("GATEWAY_CORS_ORIGINS", http.cors_origins);
        http.min_free_bytes = settings.or("GATEWAY_MIN_FREE_BYTES", http.min_free_bytes);
        http.max_user_bytes = settings.optional("GATEWAY_MAX_USER_BYTES");
        http.max_user_waiting = settings.optional("GATEWAY_MAX_USER_WAITING");
        http.video_retention = retention(settings, "GATEWAY_VIDEO_RETENTION");
        http.mp3_retention = retention(settings, "GATEWAY_MP3_RETENTION");
        http
    }
}

fn retention(settings: &mut Settings, name: &str) -> Option<SignedDuration> {
    let kept = settings.optional(name)?;
    if kept < SignedDuration::ZERO {
        settings.fault(format!("{name}: a time cannot be negative"));
    }
    Some(kept)
}

impl Config {
    /// Reads the settings; tells every fault at once.
    pub fn read(mut settings: Settings) -> Result<Self, Faults> {
        let log = settings.or("LOG", "info".to_owned());
        let log_format = settings.or("LOG_FORMAT", LogFormat::Text);
        let admin_listen = settings.optional("ADMIN_LISTEN");
        let http = http(&mut settings);
        let storage_url = settings.required_secret("STORAGE_URL", "mongodb://.. or file:/folder");
        let queue_url = settings.required_secret("QUEUE_URL", "amqp://.. or file:/folder");
        if let (Some(storage), Some(queue)) = (&storage_url, &queue_url)
            && storage.expose_secret().starts_with("file:")
                != queue.expose_secret().starts_with("file:")
        {
            settings.fault(
                "STORAGE_URL and QUEUE_URL belong together: MongoDB with RabbitMQ, or two folders",
            );
        }
        let config = match (http, storage_url, queue_url) {
            (Some(http), Some(storage_url), Some(queue_url)) => {
                Some(Self { http, storage_url, queue_url, admin_listen, log, log_format })
            }
            _ => None,
        };
        settings.finish(config)
    }
}

fn http(settings: &mut Settings) -> Option<HttpConfig> {
    let auth_url: Url =
        settings.required("GATEWAY_AUTH_URL", "the address of auth, as http://host:port")?;
    if !matches!(auth_url.scheme(), "http" | "https") {
        settings.fault("GATEWAY_AUTH_URL: it starts with http:// or https://");
    }
    Some(HttpConfig::read(settings, auth_url))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &'static [(&str, &str)]) -> Result<Config, Faults> {
        Config::read(Settings::from_lookup(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        }))
    }

    #[test]
    fn the_defaults_need_three_addresses() {
        let config = read(&[
            ("GATEWAY_AUTH_URL", "http://auth:5000"),
            ("STORAGE_URL", "file:/data"),
            ("QUEUE_URL", "file:/data"),
        ]);
        assert_eq!(config.unwrap().http.max_upload_bytes, 20 << 30);
        let faults = read(&[]).unwrap_err().to_string();
        for name in ["GATEWAY_AUTH_URL", "STORAGE_URL", "QUEUE_URL"] {
            assert!(faults.contains(name), "{faults}");
        }
    }

    #[test]
    fn back_ends_of_two_sets_are_refused() {
        let faults = read(&[
            ("GATEWAY_AUTH_URL", "http://auth:5000"),
            ("STORAGE_URL", "mongodb://db/audio"),
            ("QUEUE_URL", "file:/data"),
        ]);
        assert!(faults.unwrap_err().to_string().contains("belong together"));
    }
}
