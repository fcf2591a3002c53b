//! What is asked for by a container's name: a host `NAME.DOMAIN`. It is answered by somebody else, and reaches no route of the
//! API, whatever else the request says.

use crate::client::Client;
use crate::host::{authorities, bare_name};
use axum::body::Body;
use axum::response::Response;
use futures_util::future::BoxFuture;
use hyper::Request;
use hyper::body::Incoming;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Who answers for containers.
pub trait Pages: Send + Sync + 'static {
    /// Answers a request for the container that goes by this label, if there is one.
    fn answer(
        &self,
        label: String,
        request: Request<Incoming>,
        client: Client,
    ) -> BoxFuture<'static, Response<Body>>;
}

/// The hosts that belong to containers. Clones share it.
#[derive(Clone)]
pub struct Names {
    /// Whatever ends in it, with its leading dot, in lower case.
    suffix: Arc<str>,
    /// A name of the API's own, in lower case, though it may end in it.
    public: Arc<str>,
    pub(crate) pages: Arc<dyn Pages>,
    pub(crate) places: Arc<Semaphore>,
}

/// For whom a request is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Addressee {
    Api,
    Container(String),
    /// It says several.
    Unclear,
}

impl Names {
    /// Connections at once that have asked for a container by name. They take no place of the API's.
    pub const CONNECTIONS: usize = 16_384;

    /// The hosts below `domain`, but for `public`, by which the API itself goes. So many connections may ask for them at once.
    pub fn below(domain: &str, public: &str, connections: usize, pages: Arc<dyn Pages>) -> Self {
        let lower = |text: &str| text.trim_end_matches('.').to_ascii_lowercase();
        Self {
            suffix: format!(".{}", lower(domain)).into(),
            public: lower(public).into(),
            pages,
            places: Arc::new(Semaphore::new(connections)),
        }
    }

    /// Once anything in it speaks of a container, all of it must speak of that one.
    pub(crate) fn addressee<B>(&self, request: &Request<B>) -> Addressee {
        let mut said = authorities(request).map(|authority| self.label(authority));
        let Some(first) = said.next() else { return Addressee::Api };
        let (mut several, mut other) = (false, None);
        for another in said {
            several |= another != first;
            other = other.or(another);
        }
        match first.or(other) {
            None => Addressee::Api,
            Some(_) if several => Addressee::Unclear,
            Some(label) => Addressee::Container(label),
        }
    }

    fn label(&self, authority: &str) -> Option<String> {
        let name = bare_name(authority)?.trim_end_matches('.');
        let (label, suffix) = name.split_at_checked(name.len().checked_sub(self.suffix.len())?)?;
        let is_ours = suffix.eq_ignore_ascii_case(&self.suffix) && !name.eq_ignore_ascii_case(&self.public);
        (is_ours && !label.is_empty()).then(|| label.to_ascii_lowercase())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Pages for Nobody {
        fn answer(&self, _: String, _: Request<Incoming>, _: Client) -> BoxFuture<'static, Response<Body>> {
            Box::pin(async { Response::default() })
        }
    }

    fn addressee(uri: &str, hosts: &[&str]) -> Addressee {
        let mut request = Request::builder().uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        Names::below("Apps.example.org", "spin.apps.example.org", 1, Arc::new(Nobody))
            .addressee(&request.body(()).unwrap())
    }

    #[test]
    fn a_host_below_the_domain_is_a_containers() {
        let a = || Addressee::Container("a".into());
        for host in ["a.apps.example.org", "A.APPS.example.ORG:8080", "a.apps.example.org.:80"] {
            assert_eq!(addressee("/v1/containers", &[host]), a(), "{host}");
        }
        assert_eq!(addressee("http://a.apps.example.org/x", &[]), a());
        assert_eq!(addressee("http://a.apps.example.org/x", &["a.apps.example.org:80"]), a());
        let deeper = Addressee::Container("b.a".into());
        assert_eq!(addressee("/", &["b.a.apps.example.org"]), deeper);
    }

    #[test]
    fn any_other_is_for_the_api_to_judge() {
        for host in [
            "apps.example.org",
            "spin.apps.example.org",
            ".apps.example.org",
            "aapps.example.org",
            "localhost",
            "a.localhost",
            "127.0.0.1:8080",
            "a.apps.example.org.evil.example",
            "a.apps.example.org:x",
            "",
        ] {
            assert_eq!(addressee("/", &[host]), Addressee::Api, "{host}");
        }
        assert_eq!(addressee("/", &[]), Addressee::Api);
    }

    #[test]
    fn a_request_that_speaks_of_two_is_unclear() {
        for (uri, hosts) in [
            ("/", &["a.apps.example.org", "localhost"][..]),
            ("/", &["localhost", "a.apps.example.org"]),
            ("/", &["a.apps.example.org", "b.apps.example.org"]),
            ("http://localhost/", &["a.apps.example.org"]),
            ("http://a.apps.example.org/", &["localhost"]),
            ("http://a.apps.example.org/", &["b.apps.example.org"]),
        ] {
            assert_eq!(addressee(uri, hosts), Addressee::Unclear, "{uri} {hosts:?}");
        }
    }
}
