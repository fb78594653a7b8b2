use super::*;
use aws_lc_rs::{
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use http::HeaderValue;
use jsonwebtoken::get_current_timestamp as now;
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::net::TcpListener;
use warp::{Filter, Reply};

const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"one"}"#;

struct Signer(Ed25519KeyPair);

impl Signer {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    fn sign(&self, header: &str, claims: &Value) -> String {
        let content = content(header, claims);
        let signature = self.0.sign(content.as_bytes());
        format!("{content}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the gateway makes of a token when it knows this signer's key.
    fn check(&self, token: &str) -> Option<Identity> {
        let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
        let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
        let Credential::Login(token) = credential(&headers)? else {
            return None;
        };
        key_id(token)?;
        verify(token, &DecodingKey::from_ed_der(self.0.public_key().as_ref()))
    }
}

fn content(header: &str, claims: &Value) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    format!("{}.{}", encode(header), encode(&claims.to_string()))
}

fn claims() -> Value {
    let now = now();
    json!({"iss": SYSTEM, "aud": SYSTEM, "sub": "ada", "role": "user", "nbf": now, "exp": now + 600, "jti": "1"})
}

fn but(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

#[test]
fn a_good_token_is_a_user() {
    let signer = Signer::new();
    let identity = signer.check(&signer.sign(HEADER, &claims())).unwrap();
    assert_eq!((identity.user.as_str(), identity.role), ("ada", Role::User));
    let admin = signer.check(&signer.sign(HEADER, &but("role", "admin"))).unwrap();
    assert_eq!(admin.role, Role::Admin);
}

#[test]
fn claims_that_are_not_ours_are_refused() {
    let signer = Signer::new();
    let refused = [
        but("iss", "somebody"),
        but("aud", "something"),
        but("aud", json!([SYSTEM, "something"])),
        but("iss", json!([SYSTEM])),
        but("sub", "a:b"),
        but("sub", ""),
        but("sub", 7),
        but("role", "root"),
        but("exp", now() - 31),
        but("exp", "never"),
        but("exp", -1),
        but("nbf", now() + 60),
    ];
    for claims in refused {
        assert!(signer.check(&signer.sign(HEADER, &claims)).is_none(), "{claims}");
    }
    for name in ["iss", "aud", "sub", "role", "exp", "nbf"] {
        let mut claims = claims();
        claims.as_object_mut().unwrap().remove(name);
        assert!(signer.check(&signer.sign(HEADER, &claims)).is_none(), "no {name}");
    }
}

#[test]
fn clocks_may_be_half_a_minute_apart() {
    let signer = Signer::new();
    for claims in [but("exp", now() - 20), but("nbf", now() + 20)] {
        assert!(signer.check(&signer.sign(HEADER, &claims)).is_some(), "{claims}");
    }
}

#[test]
fn headers_that_are_not_ours_are_refused() {
    let signer = Signer::new();
    let jwk = BASE64_URL_SAFE_NO_PAD.encode(signer.0.public_key());
    for header in [
        r#"{"alg":"none","typ":"at+jwt","kid":"one"}"#.to_owned(),
        r#"{"alg":"HS256","typ":"at+jwt","kid":"one"}"#.to_owned(),
        r#"{"alg":"eddsa","typ":"at+jwt","kid":"one"}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"JWT","kid":"one"}"#.to_owned(),
        r#"{"alg":"EdDSA","kid":"one"}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"at+jwt"}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":""}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"../../one"}"#.to_owned(),
        format!(r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"{}"}}"#, "x".repeat(65)),
        format!(
            r#"{{"alg":"EdDSA","typ":"at+jwt","kid":"one","jwk":{{"kty":"OKP","crv":"Ed25519","x":"{jwk}"}}}}"#
        ),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"one","jku":"http://evil/"}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"one","crit":["exp"]}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"one","b64":false}"#.to_owned(),
        r#"{"alg":"EdDSA","typ":"at+jwt","kid":"one","alg":"EdDSA"}"#.to_owned(),
        "[]".to_owned(),
        String::new(),
    ] {
        assert!(signer.check(&signer.sign(&header, &claims())).is_none(), "{header}");
    }
}

#[test]
fn a_public_key_is_no_secret() {
    let signer = Signer::new();
    for header in [HEADER, r#"{"alg":"HS256","typ":"at+jwt","kid":"one"}"#] {
        let content = content(header, &claims());
        let secret = hmac::Key::new(hmac::HMAC_SHA256, signer.0.public_key().as_ref());
        let tag = hmac::sign(&secret, content.as_bytes());
        let token = format!("{content}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag));
        assert!(signer.check(&token).is_none());
    }
}

#[test]
fn a_changed_token_is_refused() {
    let signer = Signer::new();
    let token = signer.sign(HEADER, &claims());
    let forged = Signer::new().sign(HEADER, &claims());
    let signature = token.rsplit_once('.').unwrap().1;
    let promoted = format!("{}.{signature}", content(HEADER, &but("role", "admin")));
    let unsigned = format!("{}.", content(HEADER, &claims()));
    for bad in [
        forged,
        promoted,
        unsigned,
        format!("{token}="),
        format!("{token}.x"),
        "..".into(),
        ".".into(),
        "x".into(),
    ] {
        assert!(signer.check(&bad).is_none(), "{bad}");
    }
    let last = token.len() - 2;
    for at in [0, 10, token.find('.').unwrap() + 3, last] {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(signer.check(&String::from_utf8(bytes).unwrap()).is_none(), "byte {at}");
    }
}

#[test]
fn a_huge_token_is_not_looked_at() {
    let signer = Signer::new();
    let mut claims = claims();
    claims["padding"] = "x".repeat(1 << 20).into();
    assert!(signer.check(&signer.sign(HEADER, &claims)).is_none());
}

#[test]
fn one_bearer_token_is_looked_for() {
    let read = |values: &[&str]| {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, HeaderValue::try_from(*value).unwrap());
        }
        credential(&headers).map(|found| format!("{found:?}"))
    };
    let secret = format!("act_{}", "-".repeat(43));
    assert_eq!(read(&["bearer x"]).unwrap(), "Login(\"x\")");
    assert_eq!(read(&["Bearer act_x"]).unwrap(), "Login(\"act_x\")");
    assert_eq!(read(&[&format!("Bearer {secret}")]).unwrap(), format!("ApiToken({secret:?})"));
    for bad in [&[][..], &["x"], &["Basic x"], &["Bearer x", "Bearer y"]] {
        assert_eq!(read(bad), None, "{bad:?}");
    }
}

/// What the upload's end asks: a token that is taken back meanwhile is good no longer.
#[tokio::test]
async fn an_identity_is_asked_about_again() {
    let asked = Arc::<AtomicUsize>::default();
    let answer = warp::path!("validate").map(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => warp::reply::json(&claims()).into_response(),
        2 => StatusCode::UNAUTHORIZED.into_response(),
        _ => StatusCode::BAD_GATEWAY.into_response(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serving = tokio::spawn(warp::serve(answer).incoming(listener).run());
    let verifier = Verifier::new(&Auth::new(url).unwrap(), Duration::ZERO);
    let value = HeaderValue::try_from(format!("Bearer act_{}", "x".repeat(43))).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let identity = verifier.identify(&headers).await.unwrap();
    assert_eq!(identity.user.as_str(), "ada");
    assert!(!format!("{identity:?}").contains("act_"));
    assert!(verifier.still_good(&identity).await.is_ok());
    assert!(matches!(verifier.still_good(&identity).await, Err(Error::Unauthorized)));
    assert!(matches!(verifier.still_good(&identity).await, Err(Error::Unavailable(_))));
    serving.abort();
}
