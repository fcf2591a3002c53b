//! How long a request's head may be. hyper answers by a bare status to what does not fit its buffer, so that holds some more than may
//! be said, and whoever says too much is told by how much.

use crate::error::Failure;
use api::Kind;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::{IntoResponse, Response};

/// The longest head that is served.
const MAX: usize = 32 * 1024;

/// As soon as so much of one is read and its end is not, hyper refuses it. What its last read brings may go some way beyond, and is
/// then held too before the client is known; one whose end that read brings is whole, and refused here.
pub(crate) const MAX_READ: usize = 72 * 1024;

/// 431 to a longer one, and the connection ends after it: a body that the client has on its way is not waited for.
pub(crate) fn refusal<B>(request: &hyper::Request<B>) -> Option<Response> {
    let length = length(request);
    if length <= MAX {
        return None;
    }
    let message = format!("The request line and the headers have {length} bytes, and may have {MAX}");
    let mut response = Failure::new(Kind::HeadTooLong, message).into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    Some(response)
}

/// In bytes, without what was put around a value: a space after the colon and the end of a line are counted, more of them are not.
fn length<B>(request: &hyper::Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let line = request.method().as_str().len() + authority + path + "  HTTP/1.1\r\n".len();
    let headers =
        request.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    headers.sum::<usize>() + line + "\r\n".len()
}
