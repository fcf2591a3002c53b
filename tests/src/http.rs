//! An HTTP client that shows what came, and judges nothing.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::time::{Duration, Instant};

/// Speaks to one daemon.
#[derive(Clone, Debug)]
pub struct Client {
    base: String,
    credentials: Option<String>,
    agent: ureq::Agent,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: ureq::http::HeaderMap,
    /// The body, as text.
    pub text: String,
}

impl Client {
    /// As `admin` with this password.
    pub fn new(base: &str, password: &str) -> Self {
        Self { credentials: Some(format!("admin:{password}")), ..Self::anonymous(base) }
    }

    /// Without credentials.
    pub fn anonymous(base: &str) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(90)))
            .build();
        Self { base: base.to_owned(), credentials: None, agent: config.into() }
    }

    /// The same, that waits three minutes for an answer.
    pub fn patient(&self) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(180))).build().into();
        Self { agent, ..self.clone() }
    }

    /// Any request. `body` is its content type and its bytes.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &str)>,
    ) -> Answer {
        self.try_send(method, path, headers, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The same, where no answer is an answer too.
    pub fn try_send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<(&str, &str)>,
    ) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(credentials) = &self.credentials {
            request = request.header("authorization", format!("Basic {}", STANDARD.encode(credentials)));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let result = match body {
            Some((kind, text)) => {
                let request =
                    request.header("content-type", kind).body(text.to_owned()).expect("a valid request");
                self.agent.run(request)
            }
            None => self.agent.run(request.body(()).expect("a valid request")),
        };
        let mut response = result?;
        let text = response.body_mut().read_to_string()?;
        Ok(Answer { status: response.status().as_u16(), headers: response.headers().clone(), text })
    }

    /// `GET`.
    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], None)
    }

    /// `POST` of a form, as `curl -d` sends it.
    pub fn post(&self, path: &str, form: &str) -> Answer {
        self.send("POST", path, &[], Some(("application/x-www-form-urlencoded", form)))
    }

    /// `PATCH` of a form.
    pub fn patch(&self, path: &str, form: &str) -> Answer {
        self.send("PATCH", path, &[], Some(("application/x-www-form-urlencoded", form)))
    }

    /// `DELETE`.
    pub fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], None)
    }

    /// A new container of this image, or the test fails.
    pub fn create(&self, image: &str) -> Value {
        let answer = self.post("/v1/containers", &format!("image={image}"));
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// A new container as this JSON asks for it, or the test fails.
    pub fn create_as(&self, asked: &Value) -> Value {
        let body = asked.to_string();
        let answer = self.send("POST", "/v1/containers", &[], Some(("application/json", &body)));
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// The field of this container becomes this value within half a minute, or the test fails.
    pub fn until(&self, container: &Value, field: &str, value: &str) {
        let uri = crate::text(container, "uri");
        let so = || self.show(uri)[field] == value;
        let begun = Instant::now();
        while !so() {
            let why = || self.get(&format!("{uri}/why")).text;
            assert!(begun.elapsed() < Duration::from_secs(30), "its {field} is never {value}: {}", why());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Freezes it by hand, or the test fails. Whoever has not yet read what it was sent, a connection's end too, is left awake by
    /// right (409): it is given a few seconds to do so.
    pub fn freeze(&self, container: &Value) {
        let frozen = || {
            let answer = self.patch(crate::text(container, "uri"), "depth=frozen");
            assert!(matches!(answer.status, 200 | 409), "{}", answer.text);
            (answer.status == 200).then(|| answer.json())
        };
        let shown = crate::until("it has read everything and is frozen", Duration::from_secs(10), frozen);
        assert_eq!(shown["depth"], "frozen", "{shown}");
    }

    /// What happened to it, by kind.
    pub fn kinds(&self, container: &Value) -> Vec<String> {
        let events = self.get(&format!("{}/events?limit=200", crate::text(container, "uri"))).json();
        let events = events.as_array().expect("a list");
        events.iter().map(|event| crate::text(event, "kind").to_owned()).collect()
    }

    /// The container at this `uri`, or the test fails.
    pub fn show(&self, uri: &str) -> Value {
        let answer = self.get(uri);
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

impl Answer {
    /// The body as JSON, or the test fails.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error} in {:?}", self.text))
    }

    /// A header, or nothing.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}
