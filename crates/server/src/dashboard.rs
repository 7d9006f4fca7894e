//! The dashboard: a page that needs nothing but this server. Its files are part of the program.
//!
//! ```text
//! GET /                    the page; no token     200
//! GET /dashboard/{file}    its parts; no token    200
//! ```
//!
//! The page holds no figures: it asks people for the token and shows what the other routes answer.
//! It may load from here and speak to here, run what these files say and nothing else, and not be
//! shown within another page, which could lead a click astray.

use crate::problem::{self, Problem};
use crate::state::State;
use crate::words::At;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::sync::{Arc, LazyLock};

/// What the page may do.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'; require-trusted-types-for 'script'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

struct File {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! files {
    ($(($name:literal, $kind:expr)),* $(,)?) => {
        [$(File {
            name: $name,
            kind: $kind,
            text: include_str!(concat!("../dashboard/", $name)),
        }),*]
    };
}

const PAGE: &str = "index.html";
const FILES: [File; 21] = files![
    ("index.html", HTML),
    ("base.css", CSS),
    ("views.css", CSS),
    ("icon.svg", ICON),
    ("main.js", SCRIPT),
    ("api.js", SCRIPT),
    ("bar.js", SCRIPT),
    ("chart.js", SCRIPT),
    ("dom.js", SCRIPT),
    ("evictions.js", SCRIPT),
    ("explain.js", SCRIPT),
    ("groups.js", SCRIPT),
    ("limits.js", SCRIPT),
    ("overview.js", SCRIPT),
    ("preview.js", SCRIPT),
    ("refusals.js", SCRIPT),
    ("store.js", SCRIPT),
    ("table.js", SCRIPT),
    ("tenant.js", SCRIPT),
    ("units.js", SCRIPT),
    ("why.js", SCRIPT),
];

/// Files as they are sent, in their order: made when the first one is asked for.
static READY: LazyLock<Vec<Ready>> = LazyLock::new(|| FILES.iter().map(Ready::new).collect());

struct Ready {
    /// A third or so of the text.
    packed: Bytes,
    /// What tells one text from another, as it is and packed.
    tags: [HeaderValue; 2],
}

impl Ready {
    fn new(file: &File) -> Self {
        let mut packer = GzEncoder::new(Vec::new(), Compression::best());
        let packed = packer.write_all(file.text.as_bytes()).and_then(|()| packer.finish());
        let hash = &blake3::hash(file.text.as_bytes()).to_hex()[..16];
        let tag =
            |how: &str| HeaderValue::from_str(&format!("\"{hash}{how}\"")).expect("hex is visible");
        let packed = packed.expect("text is written to memory").into();
        Self { packed, tags: [tag(""), tag("-gzip")] }
    }
}

/// Whether the caller can unpack.
fn unpacks(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let mut codings = accepted.unwrap_or_default().split(',').map(str::trim);
    codings.any(|coding| coding.eq_ignore_ascii_case("gzip"))
}

/// The page.
pub async fn page(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    serve(&state, &headers, PAGE).await
}

/// A part of it.
pub async fn file(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    At(name): At<String>,
) -> Result<Response, Problem> {
    serve(&state, &headers, &name).await
}

async fn serve(state: &State, headers: &HeaderMap, name: &str) -> Result<Response, Problem> {
    state.door.check_host(headers)?;
    let Some(place) = FILES.iter().position(|file| file.name == name) else {
        return Err(problem::no_route().await);
    };
    let (file, ready) = (&FILES[place], &READY[place]);
    let unpacks = unpacks(headers);
    let tag = &ready.tags[usize::from(unpacks)];
    let is_known = headers.get(header::IF_NONE_MATCH).is_some_and(|known| known == tag);
    let fixed = HeaderValue::from_static;
    let headers = [
        (header::CONTENT_TYPE, fixed(file.kind)),
        (header::ETAG, tag.clone()),
        (header::CACHE_CONTROL, fixed("no-cache")),
        (header::VARY, fixed("accept-encoding")),
        (header::CONTENT_SECURITY_POLICY, fixed(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, fixed("nosniff")),
        (header::REFERRER_POLICY, fixed("no-referrer")),
        (HeaderName::from_static("cross-origin-opener-policy"), fixed("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), fixed("same-origin")),
    ];
    let packed = [(header::CONTENT_ENCODING, fixed("gzip"))];
    Ok(match (is_known, unpacks) {
        (true, _) => (StatusCode::NOT_MODIFIED, headers).into_response(),
        (false, true) => (headers, packed, ready.packed.clone()).into_response(),
        (false, false) => (headers, file.text).into_response(),
    })
}
