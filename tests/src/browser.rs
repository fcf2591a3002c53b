//! Chromium without a screen, driven by WebDriver: what a page's script did, as whoever reads the page would see it.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// One browser with one page. Dropping it ends both it and its driver.
pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    session: String,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// With a profile of its own, so that nothing is known to it.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a temporary folder");
        let (driver, port) = start_driver();
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(60))).build().into();
        let session = format!("http://127.0.0.1:{port}/session");
        let mut browser = Self { driver, agent, session, _profile: profile };
        let folder = format!("--user-data-dir={}", browser._profile.path().display());
        let begun = browser.command("", &wanted(&folder));
        let id = begun["sessionId"].as_str().unwrap_or_else(|| panic!("no session: {begun}"));
        browser.session = format!("{}/{id}", browser.session);
        browser
    }

    /// Opens this address, and returns once it is loaded.
    pub fn open(&self, url: &str) {
        self.command("/url", &json!({ "url": url }));
    }

    /// What the body of a function returns in the page.
    pub fn run(&self, script: &str) -> Value {
        self.command("/execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// Clicks at what this selector finds first, as a person would: it must be there to be seen.
    pub fn click(&self, selector: &str) {
        let found = self.command("/element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        let id = id.unwrap_or_else(|| panic!("nothing is {selector}: {found}"));
        self.command(&format!("/element/{id}/click"), &json!({}));
    }

    /// What the console has said since it was last asked.
    pub fn console(&self) -> Vec<Value> {
        self.log("browser")
    }

    /// The address of everything that pages have asked for since this was last called; not what the browser's own page at its start did.
    pub fn asked_for(&self) -> Vec<String> {
        let messages = self.log("performance").into_iter().filter_map(|entry| {
            let message: Value = serde_json::from_str(entry["message"].as_str()?).ok()?;
            let message = message["message"].clone();
            (message["method"] == "Network.requestWillBeSent").then_some(message)
        });
        let addresses = messages.map(|message| crate::text(&message["params"]["request"], "url").to_owned());
        addresses.filter(|address| !address.starts_with("chrome:")).collect()
    }

    fn log(&self, kind: &str) -> Vec<Value> {
        let log = self.command("/se/log", &json!({ "type": kind }));
        log.as_array().unwrap_or_else(|| panic!("no log: {log}")).clone()
    }

    /// One command of the session, or the test fails.
    fn command(&self, path: &str, body: &Value) -> Value {
        let address = format!("{}{path}", self.session);
        let request = self.agent.post(&address).header("content-type", "application/json");
        let mut answer = request.send(body.to_string()).unwrap_or_else(|error| panic!("{address}: {error}"));
        let text = answer.body_mut().read_to_string().unwrap_or_else(|error| panic!("{address}: {error}"));
        assert_eq!(answer.status(), 200, "{path} {body}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        answer["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser with the session.
        if let Err(error) = self.agent.delete(&self.session).call() {
            eprintln!("the browser may be left over: {error}");
        }
        if let Err(error) = self.driver.kill().and_then(|()| self.driver.wait()) {
            eprintln!("left over: chromedriver: {error}");
        }
    }
}

/// Root has no sandbox, and a container's `/dev/shm` is small.
fn wanted(folder: &str) -> Value {
    let arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", folder];
    json!({"capabilities": {"alwaysMatch": {
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
    }}})
}

/// On a port that it finds itself.
fn start_driver() -> (Child, String) {
    let mut driver = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--", "chromedriver", "--port=0"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("setpriv and chromedriver are installed: scripts/tools does it");
    let mut lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
    let port = lines.find_map(|line| {
        let after = line.split("started successfully on port ").nth(1)?;
        Some(after.trim_end_matches('.').to_owned())
    });
    std::thread::spawn(move || lines.for_each(drop));
    (driver, port.expect("chromedriver is installed, and says its port: scripts/tools does it"))
}
