//! Bodies, read whole before anything is made of them, within a bound of size and one of time: who
//! sends a byte a second holds up a connection and nothing else.

use crate::problem::Problem;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use std::time::Duration;

/// Largest body that is read.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Time to send a body.
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Reads the body of a request.
pub async fn read(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match tokio::time::timeout(BODY_WITHIN, to_bytes(body, BODY_BYTES_MAX)).await {
        Ok(Ok(bytes)) => next.run(Request::from_parts(parts, Body::from(bytes))).await,
        Ok(Err(error)) => {
            if !error.into_inner().is::<LengthLimitError>() {
                let detail = "the body broke off, or is not framed as it should be";
                return Problem::invalid(detail).into_response();
            }
            let detail = format!("a body has at most {BODY_BYTES_MAX} bytes");
            let (status, title) = (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large");
            Problem::new(status, "too-large", title, detail).into_response()
        }
        Err(_) => {
            let detail = format!("the body did not come within {} s", BODY_WITHIN.as_secs());
            let (status, title) = (StatusCode::REQUEST_TIMEOUT, "the body is too slow");
            Problem::new(status, "too-slow", title, detail).into_response()
        }
    }
}
