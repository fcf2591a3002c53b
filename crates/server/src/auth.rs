//! Basic authentication: one user, `admin`. Digests are compared, in constant time: neither how much of the credentials is right
//! nor how long the right ones are can be told by the clock.

use crate::App;
use crate::error::Failure;
use api::Kind;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use std::sync::{Arc, PoisonError, RwLock};
use subtle::{Choice, ConstantTimeEq};

const USER: &str = "admin";
const CHALLENGE: &str = r#"Basic realm="spin-docker", charset="UTF-8""#;

/// The password of `admin`, which may be changed while it is asked for. Only a digest of it is kept.
pub struct Password(RwLock<Digested>);

/// Of credentials, however long. It has no `==`, on purpose: there is one way to compare it.
#[derive(Clone, Copy)]
struct Digested([u8; 32]);

impl ConstantTimeEq for Digested {
    fn ct_eq(&self, other: &Self) -> Choice {
        #[cfg(test)]
        tests::COMPARED.with(|compared| compared.set(compared.get() + 1));
        self.0.ct_eq(&other.0)
    }
}

impl Password {
    /// As it was set.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(RwLock::new(expected(text.as_ref())))
    }

    /// Another one, from now on.
    pub fn set(&self, text: impl AsRef<str>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = expected(text.as_ref());
    }

    /// What cannot be read is compared too, as empty credentials, which are nobody's: it takes no other way than what is wrong.
    fn admits(&self, header: &HeaderValue) -> bool {
        self.is_right(&credentials(header).unwrap_or_default())
    }

    fn is_right(&self, credentials: &[u8]) -> bool {
        let expected = *self.0.read().unwrap_or_else(PoisonError::into_inner);
        digest(credentials).ct_eq(&expected).into()
    }
}

fn expected(password: &str) -> Digested {
    digest(format!("{USER}:{password}").as_bytes())
}

fn digest(credentials: &[u8]) -> Digested {
    Digested(Sha256::digest(credentials).into())
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(…)")
    }
}

impl App {
    /// Whether a request with these headers would be let through.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        headers.get(header::AUTHORIZATION).is_some_and(|header| self.password.admits(header))
    }
}

/// Lets nobody through without the right credentials.
pub(crate) async fn require(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.admits(request.headers()) {
        return next.run(request).await;
    }
    let message = "Give the user admin and the password, by HTTP basic authentication";
    let mut response = Failure::new(Kind::Unauthorized, message).into_response();
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
    response
}

/// What the client sent alone decides whether they can be read, and how long that takes: the password has no part in it.
fn credentials(header: &HeaderValue) -> Option<Vec<u8>> {
    let (scheme, encoded) = header.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(encoded.trim()).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    static_assertions::assert_not_impl_any!(Digested: PartialEq, AsRef<[u8]>, std::ops::Deref);

    thread_local! {
        /// How many comparisons there were.
        pub(super) static COMPARED: Cell<usize> = const { Cell::new(0) };
    }

    /// Neither a length nor a beginning ends it early: whatever was given is digested, and digests alone are compared, once.
    #[test]
    fn credentials_of_any_length_are_decided_by_one_comparison_in_constant_time() {
        let password = Password::new("spindocker");
        let right = b"admin:spindocker".as_slice();
        let mut given: Vec<_> = (0..=right.len()).map(|length| right[..length].to_vec()).collect();
        given.extend([1, 15, 16, 17, 64, 10_000].map(|length| vec![b'a'; length]));
        given.extend([[right, b"\0"].concat(), b"root:spindocker".to_vec(), b"admin:\xff\xfe".to_vec()]);
        for credentials in given {
            let before = COMPARED.get();
            assert_eq!(password.is_right(&credentials), credentials == right, "{credentials:.20?}");
            assert_eq!(COMPARED.get() - before, 1, "{credentials:.20?}");
        }
    }

    /// With one comparison, whatever can be read of it.
    fn admits(header: &[u8]) -> bool {
        let header = HeaderValue::from_bytes(header).unwrap();
        let before = COMPARED.get();
        let admitted = Password::new("spindocker").admits(&header);
        assert_eq!(COMPARED.get() - before, 1, "{header:?}");
        admitted
    }

    #[test]
    fn only_the_right_credentials_are_let_through() {
        let basic = |text: &[u8]| format!("Basic {}", STANDARD.encode(text));
        assert!(admits(basic(b"admin:spindocker").as_bytes()));
        assert!(admits(basic(b"admin:spindocker").replace("Basic", "bASIC").as_bytes()));
        let wrong: [&[u8]; 6] =
            [b"admin:", b"", b"admin:spindocker2", b"root:spindocker", b"admin:\xff\xfe", &[b'a'; 10_000]];
        for credentials in wrong {
            assert!(!admits(basic(credentials).as_bytes()), "{credentials:?}");
        }
        for header in [&b"Basic"[..], b"Basic !!!", b"Bearer abc", b"\xff", b""] {
            assert!(!admits(header), "{header:?}");
        }
    }

    #[test]
    fn the_password_is_never_printed() {
        assert_eq!(format!("{:?}", Password::new("hunter2")), "Password(…)");
    }
}
