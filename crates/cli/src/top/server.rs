//! The server: its address, the token, and what it answers.
//!
//! ```text
//! S1  the token goes to the address that was given, and nowhere else: no proxy, no redirect
//! S2  an answer is read up to ANSWER_BYTES_MAX, its head up to HEAD_BYTES_MAX, within CALL_MAX;
//!     between two parts of the stream, which has no end, are SILENT_MAX at most
//! ```

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

use super::known::clean;
use crate::failure::CliError;
use crate::secret;

/// Most bytes of an answer other than the stream.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
const HEAD_BYTES_MAX: usize = 16 << 10;
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Changes come every second: a stream that is silent for so long is dead.
const SILENT_MAX: Duration = Duration::from_secs(6);
/// Longest that a call may take.
const CALL_MAX: Duration = Duration::from_secs(10);
const TOKEN_BYTES_MAX: usize = 4096;
/// Most characters of what a server says of a refusal.
const WORDS_MAX: usize = 300;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Trouble {
    /// The server is not there, or cannot answer now: it may be later.
    Away(String),
    /// It does not know the token: a new server has a new one.
    Unknown(String),
    /// It will not do this for this token.
    Refused(String),
}

impl Trouble {
    /// What to tell people.
    pub fn text(&self) -> &str {
        match self {
            Self::Away(text) | Self::Unknown(text) | Self::Refused(text) => text,
        }
    }
}

/// One server. Its calls block; they may be made from several threads.
pub struct Server {
    /// As people write it.
    pub address: String,
    token_file: PathBuf,
    agent: Agent,
}

/// What a server says of a refusal.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Server {
    /// The server at an address, which opens to the token in a file.
    ///
    /// # Errors
    ///
    /// That it is no address of a server.
    pub fn new(address: &str, token_file: &Path) -> Result<Self, CliError> {
        let wrong = |why: &str| CliError::new(format!("--server {address}: {why}"));
        let Ok(uri) = address.parse::<Uri>() else {
            return Err(wrong("write it as in http://127.0.0.1:7180"));
        };
        if uri.scheme_str() != Some("http") {
            return Err(wrong("begin with http://; TLS is for what stands before the server"));
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong("write it as in http://127.0.0.1:7180; the token is in a file"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(wrong("nothing stands after the port"));
        }
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent("allot-top")
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_per_read(Some(SILENT_MAX))
            .timeout_per_write(Some(SILENT_MAX))
            .max_response_header_size(HEAD_BYTES_MAX)
            .build();
        let (address, token_file) = (format!("http://{authority}"), token_file.to_path_buf());
        Ok(Self { address, token_file, agent: Agent::new_with_config(config) })
    }

    /// What the file has now.
    fn authorization(&self) -> Result<String, Trouble> {
        let text = secret::read(&self.token_file);
        let text = text.map_err(|error| Trouble::Unknown(error.to_string()))?;
        let token = text.trim();
        let file = self.token_file.display();
        if token.is_empty() || token.len() > TOKEN_BYTES_MAX {
            let bytes = token.len();
            return Err(Trouble::Unknown(format!(
                "{file}: {bytes} bytes are no token, which has 1 to {TOKEN_BYTES_MAX}"
            )));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Trouble::Unknown(format!("{file}: a token is visible ASCII characters")));
        }
        Ok(format!("Bearer {token}"))
    }

    /// The stream of all that happens, from now on.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn watch(&self) -> Result<impl Read + use<>, Trouble> {
        let request = self.agent.get(format!("{}/v1/watch", self.address));
        let answer = request.header("Authorization", self.authorization()?).call();
        Ok(Self::good(answer)?.into_body().into_reader())
    }

    /// One tenant in detail, as JSON.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn details(&self, tenant: &str) -> Result<Vec<u8>, Trouble> {
        let request = self.agent.get(self.of_tenant(tenant, "details"));
        let request = request.config().timeout_global(Some(CALL_MAX)).build();
        Self::whole(request.header("Authorization", self.authorization()?).call())
    }

    /// Freezes a tenant, or thaws it.
    ///
    /// # Errors
    ///
    /// Why it is as it was, or may be.
    pub fn hold(&self, tenant: &str, freeze: bool) -> Result<(), Trouble> {
        let verb = if freeze { "freeze" } else { "thaw" };
        let request = self.agent.post(self.of_tenant(tenant, verb));
        let request = request.config().timeout_global(Some(CALL_MAX)).build();
        let request = request.header("Authorization", self.authorization()?);
        Self::whole(request.send_empty()).map(|_| ())
    }

    fn of_tenant(&self, tenant: &str, what: &str) -> String {
        let tenant = utf8_percent_encode(tenant, NON_ALPHANUMERIC);
        format!("{}/v1/tenants/{tenant}/{what}", self.address)
    }

    fn good(answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Trouble> {
        let answer = answer.map_err(|error| Trouble::Away(away(&error.into_io())))?;
        let status = answer.status();
        if status.is_success() {
            return Ok(answer);
        }
        let text = read_whole(answer.into_body().into_reader()).unwrap_or_default();
        let problem: Problem = serde_json::from_slice(&text).unwrap_or_default();
        let words = if problem.detail.is_empty() { problem.title } else { problem.detail };
        let words = match clean(&words, WORDS_MAX) {
            words if words.is_empty() => format!("it answers {status}"),
            words => format!("{}: {words}", status.as_u16()),
        };
        Err(match status {
            StatusCode::UNAUTHORIZED => Trouble::Unknown(words),
            StatusCode::TOO_MANY_REQUESTS => Trouble::Away(words),
            status if status.is_server_error() => Trouble::Away(words),
            _ => Trouble::Refused(words),
        })
    }

    fn whole(answer: Result<Response<Body>, ureq::Error>) -> Result<Vec<u8>, Trouble> {
        let answer = Self::good(answer)?;
        read_whole(answer.into_body().into_reader()).map_err(|error| Trouble::Away(away(&error)))
    }
}

/// Why nothing comes from a server, which is named elsewhere.
pub fn away(error: &io::Error) -> String {
    let of_client = error.get_ref().and_then(|inner| inner.downcast_ref());
    match error.kind() {
        _ if matches!(of_client, Some(ureq::Error::Timeout(_))) => "it is silent".to_string(),
        io::ErrorKind::ConnectionRefused => "nobody listens there".to_string(),
        _ => clean(&error.to_string(), WORDS_MAX),
    }
}

/// All of an answer, if that is not too much.
fn read_whole(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    reader.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut text)?;
    if text.len() as u64 > ANSWER_BYTES_MAX {
        let why = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_scheme_and_a_port_and_nothing_else() {
        let server = |text: &str| Server::new(text, Path::new("token"));
        for (text, address) in [
            ("http://127.0.0.1:7180", "http://127.0.0.1:7180"),
            ("http://127.0.0.1:7180/", "http://127.0.0.1:7180"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("http://localhost", "http://localhost"),
        ] {
            assert_eq!(server(text).ok().unwrap().address, address);
        }
        for text in [
            "",
            "127.0.0.1:7180",
            "https://127.0.0.1:7180",
            "http://",
            "http://a:b@127.0.0.1",
            "http://127.0.0.1:7180/v1",
            "http://127.0.0.1/?a=b",
            "http://two words",
        ] {
            assert!(server(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_is_one_part_of_a_path() {
        let server = Server::new("http://127.0.0.1:1", Path::new("token")).unwrap();
        let path = server.of_tenant("../a b?é", "freeze");
        assert_eq!(path, "http://127.0.0.1:1/v1/tenants/%2E%2E%2Fa%20b%3F%C3%A9/freeze");
    }

    #[test]
    fn what_is_too_long_is_not_read_to_its_end() {
        let most = ANSWER_BYTES_MAX as usize;
        assert_eq!(read_whole(io::repeat(1).take(ANSWER_BYTES_MAX)).unwrap().len(), most);
        assert!(read_whole(io::repeat(1)).unwrap_err().to_string().contains("more than"));
    }
}
