//! Keys and the tokens they sign: JWTs (RFC 7519) under one algorithm, which nothing in a token
//! chooses.
//!
//! The keys are a JWK set (RFC 7517) of secrets, as other programs read and write it too. The first
//! one signs, all verify: a new key is put first, and one whose tokens are to be refused is taken
//! out.
//!
//! ```text
//! {"keys": [{"kty": "oct", "alg": "HS256", "kid": "2026-11-29-1", "k": "..."}]}
//! ```
//!
//! A token names its key (`kid`) and whom it is for (`aud`), has an end (`exp`), a list of scopes
//! (`scope`, see `reach.rs`), and perhaps a beginning (`nbf`, `iat`).

use crate::door::new_secret;
use crate::hs256;
use crate::reach::{SCOPES_MAX, Scope};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
    get_current_timestamp,
};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// Whom tokens are for where nothing else is said.
pub const AUDIENCE: &str = "allot";
/// Longest token that is looked at.
pub const TOKEN_BYTES_MAX: usize = 4_096;
/// By how much the clock of whoever issues tokens may differ.
pub const LEEWAY: Duration = Duration::from_secs(30);
/// Most keys at one time.
pub const KEYS_MAX: usize = 16;
/// Fewest bytes of a secret: those of the hash.
const SECRET_BYTES_MIN: usize = 32;
/// Most characters of a key's name.
const KID_CHARACTERS_MAX: usize = 64;

/// Why there are no keys, or no token: a sentence that names what is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysError(String);

impl fmt::Display for KeysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for KeysError {}

fn wrong(what: impl Into<String>) -> KeysError {
    KeysError(what.into())
}

/// Why a token opens nothing. More than [`Refused::Unknown`] is said only of what one of the keys
/// has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// None that is known here.
    Unknown,
    /// Its time is over.
    Expired,
    /// Its time has not come.
    Early,
    /// It is for another service.
    Foreign,
}

/// What a new token is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// What it reaches: 1 to 16.
    pub scopes: Vec<Scope>,
    /// How long it is good for, from now on, in whole seconds.
    pub lasts: Duration,
    /// Who has it, for people.
    pub subject: Option<String>,
}

#[derive(Serialize)]
struct Written<'a> {
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    scope: String,
    iat: u64,
    exp: u64,
}

#[derive(Deserialize)]
struct Claims {
    #[serde(default)]
    scope: String,
    iat: Option<f64>,
}

struct Key {
    kid: String,
    signs: EncodingKey,
    verifies: DecodingKey,
}

/// The keys in force, and whom their tokens are for.
pub struct Keys {
    keys: Vec<Key>,
    audience: String,
    validation: Validation,
}

impl Keys {
    /// The keys of a JWK set, for tokens that are for this audience.
    ///
    /// # Errors
    ///
    /// What is wrong with the text or a key: no key or more than 16, one that is no secret for
    /// `HS256`, is too short, or has no name of its own.
    pub fn read(text: &str, audience: &str) -> Result<Self, KeysError> {
        hs256::install();
        let set = read_set(text)?;
        if set.keys.is_empty() {
            return Err(wrong("no key; make one with `allot token key`"));
        }
        let mut keys: Vec<Key> = Vec::with_capacity(set.keys.len());
        for jwk in &set.keys {
            let key = read_key(jwk)?;
            if keys.iter().any(|other| other.kid == key.kid) {
                return Err(wrong(format!("two keys are named `{}`: take one out", key.kid)));
            }
            keys.push(key);
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "aud"]);
        validation.set_audience(&[audience]);
        validation.validate_nbf = true;
        validation.leeway = LEEWAY.as_secs();
        Ok(Self { keys, audience: audience.to_string(), validation })
    }

    /// The scopes of a token.
    ///
    /// # Errors
    ///
    /// Why it opens nothing.
    pub fn check(&self, token: &str) -> Result<Vec<Scope>, Refused> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(Refused::Unknown);
        }
        // Nothing is believed of the header but which key it claims to be signed with.
        let header = decode_header(token).map_err(|_| Refused::Unknown)?;
        let key = self.keys.iter().find(|key| Some(&key.kid) == header.kid.as_ref());
        let verifies = &key.ok_or(Refused::Unknown)?.verifies;
        let decoded = decode::<Claims>(token, verifies, &self.validation);
        let claims = decoded.map_err(|error| refused(error.kind()))?.claims;
        let now_secs = get_current_timestamp().saturating_add(LEEWAY.as_secs());
        if claims.iat.is_some_and(|issued_secs| issued_secs > now_secs as f64) {
            return Err(Refused::Early);
        }
        Scope::read_all(&claims.scope).ok_or(Refused::Unknown)
    }

    /// A new token, signed with the first key.
    ///
    /// # Errors
    ///
    /// That it has no scope or too many, that one cannot be written, or that it came out too long.
    pub fn issue(&self, issue: &Issue) -> Result<String, KeysError> {
        if !(1..=SCOPES_MAX).contains(&issue.scopes.len()) {
            let count = issue.scopes.len();
            return Err(wrong(format!("{count} scopes: a token has 1 to {SCOPES_MAX}")));
        }
        let scopes: Result<Vec<String>, String> = issue.scopes.iter().map(Scope::written).collect();
        let now_secs = get_current_timestamp();
        let claims = Written {
            aud: &self.audience,
            sub: issue.subject.as_deref(),
            scope: scopes.map_err(wrong)?.join(" "),
            iat: now_secs,
            exp: now_secs.saturating_add(issue.lasts.as_secs()),
        };
        let key = &self.keys[0];
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(key.kid.clone());
        let signed = encode(&header, &claims, &key.signs);
        let token = signed.map_err(|error| wrong(format!("the token is not signed: {error}")))?;
        if token.len() > TOKEN_BYTES_MAX {
            let length = token.len();
            let bound = format!("at most {TOKEN_BYTES_MAX}: name fewer tenants, or shorter names");
            return Err(wrong(format!("the token would have {length} characters, {bound}")));
        }
        Ok(token)
    }
}

/// A JWK set with a new key in front of those of `before`, whose text it was.
///
/// # Errors
///
/// What is wrong with what was there, that it is full, that there is a key of that name, or that
/// this machine has no randomness.
pub fn add_key(before: Option<&str>, kid: &str) -> Result<String, KeysError> {
    let mut set = before.map(read_set).transpose()?.unwrap_or_default();
    if set.keys.len() >= KEYS_MAX {
        return Err(wrong(format!("there are {KEYS_MAX} keys already: take an old one out first")));
    }
    for jwk in &set.keys {
        read_key(jwk)?;
    }
    if set.find(kid).is_some() {
        return Err(wrong(format!("there is a key `{kid}` already: give another --kid")));
    }
    let secret = new_secret()
        .map_err(|error| wrong(format!("this machine has no randomness for a key: {error}")))?;
    let made = EncodingKey::from_secret(&secret)
        .and_then(|key| Jwk::from_encoding_key(&key, Algorithm::HS256));
    let mut jwk = made.map_err(|error| wrong(error.to_string()))?;
    jwk.common.key_id = Some(kid.to_string());
    read_key(&jwk)?;
    set.keys.insert(0, jwk);
    let text = serde_json::to_string_pretty(&set).map_err(|error| wrong(error.to_string()))?;
    Ok(text + "\n")
}

fn refused(kind: &ErrorKind) -> Refused {
    match kind {
        ErrorKind::ExpiredSignature => Refused::Expired,
        ErrorKind::ImmatureSignature => Refused::Early,
        ErrorKind::InvalidAudience => Refused::Foreign,
        _ => Refused::Unknown,
    }
}

fn read_set(text: &str) -> Result<JwkSet, KeysError> {
    // What the parser says might quote a secret; where it stopped does not.
    let set: JwkSet = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        wrong(format!("line {line}, column {column}: not a JWK set as in docs/SERVER.md"))
    })?;
    match set.keys.len() {
        0..=KEYS_MAX => Ok(set),
        count => Err(wrong(format!("{count} keys, at most {KEYS_MAX}: take old ones out"))),
    }
}

fn read_key(jwk: &Jwk) -> Result<Key, KeysError> {
    let kid = jwk.common.key_id.as_deref().unwrap_or_default();
    if !(1..=KID_CHARACTERS_MAX).contains(&kid.len())
        || !kid.bytes().all(|byte| byte.is_ascii_graphic())
    {
        let bound = format!("1 to {KID_CHARACTERS_MAX} visible ASCII characters");
        return Err(wrong(format!("the name of a key, `kid`, has {bound}")));
    }
    let is_ours = matches!(jwk.common.key_algorithm, None | Some(KeyAlgorithm::HS256))
        && matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_));
    let verifies = DecodingKey::from_jwk(jwk).ok().filter(|_| is_ours);
    let verifies = verifies.ok_or_else(|| {
        wrong(format!("key `{kid}` is no secret (`kty` of `oct`, `k` in base64url) for `HS256`"))
    })?;
    let secret = verifies.try_get_as_bytes().map_err(|error| wrong(error.to_string()))?;
    if secret.len() < SECRET_BYTES_MIN {
        let length = secret.len();
        return Err(wrong(format!(
            "key `{kid}` has {length} bytes, at least {SECRET_BYTES_MIN}: make one with \
             `allot token key`"
        )));
    }
    let signs = EncodingKey::from_secret(secret).map_err(|error| wrong(error.to_string()))?;
    Ok(Key { kid: kid.to_string(), signs, verifies })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reach::Right;

    fn read(text: &str) -> Result<Keys, String> {
        Keys::read(text, AUDIENCE).map_err(|error| error.to_string())
    }

    fn issue(scopes: usize) -> Issue {
        let scope = Scope { tenant: Some("chat".to_string()), right: Right::Request };
        Issue { scopes: vec![scope; scopes], lasts: Duration::from_secs(60), subject: None }
    }

    #[test]
    fn what_a_key_signs_it_knows_again() {
        let keys = read(&add_key(None, "a").unwrap()).unwrap();
        let token = keys.issue(&issue(1)).unwrap();
        assert_eq!(keys.check(&token), Ok(issue(1).scopes));
        let others = read(&add_key(None, "a").unwrap()).unwrap();
        assert_eq!(others.check(&token), Err(Refused::Unknown));
    }

    #[test]
    fn the_first_key_signs_and_all_verify() {
        let old = add_key(None, "old").unwrap();
        let both = add_key(Some(&old), "new").unwrap();
        let [old, both] = [old, both].map(|text| read(&text).unwrap());
        let [by_old, by_new] = [&old, &both].map(|keys| keys.issue(&issue(1)).unwrap());
        assert!(both.check(&by_old).is_ok() && both.check(&by_new).is_ok());
        assert_eq!(old.check(&by_new), Err(Refused::Unknown));
    }

    #[test]
    fn a_token_has_a_few_scopes_and_a_bound() {
        let keys = read(&add_key(None, "a").unwrap()).unwrap();
        assert!(keys.issue(&issue(0)).is_err() && keys.issue(&issue(SCOPES_MAX + 1)).is_err());
        let most = keys.issue(&issue(SCOPES_MAX)).unwrap();
        assert_eq!(keys.check(&most).map(|scopes| scopes.len()), Ok(SCOPES_MAX));
        let mut long = issue(SCOPES_MAX);
        long.scopes[0].tenant = Some("t".repeat(TOKEN_BYTES_MAX));
        assert!(keys.issue(&long).unwrap_err().to_string().contains("at most 4096"));
    }

    #[test]
    fn keys_that_are_none_are_named() {
        let good = add_key(None, "a").unwrap();
        let rsa = r#"{"keys": [{"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"}]}"#;
        for (text, part) in [
            ("", "line 1"),
            ("{\"keys\": []}", "no key"),
            (&*good.replace("HS256", "HS512"), "HS256"),
            (&*good.replace("\"a\"", "\"\""), "kid"),
            (r#"{"keys": [{"kty": "oct", "k": "c2hvcnQ", "kid": "a"}]}"#, "5 bytes, at least 32"),
            (r#"{"keys": [{"kty": "oct", "k": "", "kid": "a"}]}"#, "no secret"),
            (rsa, "no secret"),
        ] {
            let complaint = read(text).err().unwrap_or_default();
            assert!(complaint.contains(part), "{text}: {complaint}");
        }
        let mut twice: serde_json::Value = serde_json::from_str(&good).unwrap();
        twice["keys"] = serde_json::json!([twice["keys"][0], twice["keys"][0]]);
        let twice = twice.to_string();
        assert!(read(&twice).err().unwrap().contains("two keys"));
        assert!(add_key(Some(&good), "a").unwrap_err().to_string().contains("already"));
        let mut full = good;
        for number in 1..KEYS_MAX {
            full = add_key(Some(&full), &number.to_string()).unwrap();
        }
        assert!(add_key(Some(&full), "more").unwrap_err().to_string().contains("16 keys"));
    }
}
