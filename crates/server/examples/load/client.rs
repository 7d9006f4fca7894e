//! A client of HTTP/1.1 that does as little as it may: one call after the other on a connection
//! that stays open.

use super::{Failure, Place};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Largest answer.
const ANSWER_BYTES_MAX: usize = 1 << 20;

pub struct Client {
    stream: TcpStream,
    token: String,
    read: Vec<u8>,
}

impl Client {
    pub async fn new(place: &Place) -> Result<Self, Failure> {
        let stream = TcpStream::connect(place.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, token: place.token.to_string(), read: Vec::new() })
    }

    /// Status and body of the answer.
    pub async fn call(
        &mut self,
        method: &str,
        path: &str,
        body: &str,
    ) -> Result<(u16, String), Failure> {
        let head = head(method, path, &self.token, body);
        self.stream.write_all(head.as_bytes()).await?;
        tokio::time::timeout(ANSWER_WITHIN, self.answer()).await?
    }

    async fn answer(&mut self) -> Result<(u16, String), Failure> {
        self.read.clear();
        loop {
            if let Some(answer) = parse(&self.read)? {
                return Ok(answer);
            }
            if self.read.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too large".into());
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the server has closed the connection".into());
            }
        }
    }
}

/// A request with its body.
pub fn head(method: &str, path: &str, token: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// The answer, once it is whole.
fn parse(bytes: &[u8]) -> Result<Option<(u16, String)>, Failure> {
    let text = std::str::from_utf8(bytes)?;
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return Ok(None) };
    let status = head.split(' ').nth(1).ok_or("an answer without a status")?.parse()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length: usize = length.map_or(Ok(0), str::parse)?;
    Ok((body.len() >= length).then(|| (status, body.to_string())))
}
