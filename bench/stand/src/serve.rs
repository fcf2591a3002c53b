//! Wires the parts as `spin-docker serve` does, and says how far it is.

use crate::known::{self, INSTANCE};
use crate::{by_name, events, ports::NoPorts};
use anyhow::Context;
use control::{Clock, Control, Endpoints, Parts, Settings, Sqlite, Unmeasured, Writing};
use engine::fake::Fake;
use gateway::http::Trusted;
use gateway::{Gateway, Threads};
use model::IdlePolicy;
use serde_json::{Value, json};
use server::{App, Limits, Listening, Password};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Bind the containers' host ports, as the real gateway does.
    #[arg(long)]
    bind: bool,
    /// Once ready, so many engine events a second.
    #[arg(long, default_value_t = 0)]
    events: u32,
    /// For so many seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u32,
}

pub(crate) async fn run(folder: &Path, known: u32, options: Options) -> anyhow::Result<()> {
    let fake = known::engine(known);
    say(&json!({ "engine": "stands" }))?;
    let begun = Instant::now();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let gateway = Gateway::new(gateway::Options { address, wake_timeout: Duration::from_secs(60) })?;
    let endpoints: Arc<dyn Endpoints> =
        if options.bind { Arc::new(gateway.clone()) } else { Arc::new(NoPorts) };
    let control = Control::launch(parts(folder, fake.clone(), endpoints)?).await?;
    let port = listen(&control, &gateway).await?;
    say(&json!({ "ready_ms": begun.elapsed().as_secs_f64() * 1e3, "port": port }))?;
    if options.events > 0 {
        let tally = events::send(&fake, &control, known, options.events, options.seconds).await;
        say(&json!({ "events": tally.sent, "missed": tally.missed }))?;
    }
    tokio::io::stdin().read_to_end(&mut Vec::new()).await?;
    Ok(())
}

fn parts(folder: &Path, fake: Fake, endpoints: Arc<dyn Endpoints>) -> anyhow::Result<Parts> {
    Ok(Parts {
        engine: Arc::new(fake),
        endpoints,
        room: Arc::new(Unmeasured),
        store: Box::new(Sqlite::open(folder)?),
        mint: Box::new(control::mint),
        writing: Writing::InGroups,
        clock: Clock::system(),
        settings: settings(),
    })
}

/// The defaults of `spin-docker serve`, as far as they matter here.
fn settings() -> Settings {
    Settings {
        instance: INSTANCE.into(),
        subnet: None,
        policy: IdlePolicy {
            initial_timeout_interval: Duration::from_secs(7200),
            timeout_interval: Duration::from_secs(1800),
            disable_timeouts: false,
            ..IdlePolicy::DEFAULT
        },
        endpoint_ports: 49_153..=65_535,
        reserves: Default::default(),
        pressure_limit: None,
        limits: engine::Limits::default(),
        env: Vec::new(),
        authorized_keys: String::new(),
        on_loopback: true,
        publish: false,
        check_in_url: None,
        start_limit: 4,
    }
}

async fn listen(control: &Arc<Control>, gateway: &Gateway) -> anyhow::Result<u16> {
    let app = Arc::new(App {
        control: Arc::clone(control),
        password: Password::new("spindocker"),
        public_host: "127.0.0.1".into(),
        show_causes: false.into(),
        last_list: Default::default(),
        ending: Default::default(),
    });
    let threads = Threads::start("http")?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    let listening = Listening {
        listener,
        routes: server::api(&app),
        limits: Limits::API,
        hosts: server::Hosts::any(),
        names: Some(by_name::names("localhost", Trusted::default(), &app, gateway)),
        refused: Default::default(),
        threads: threads.handles().to_vec(),
    };
    tokio::spawn(async move {
        listening.serve(CancellationToken::new(), Duration::from_secs(1)).await;
        drop(threads);
    });
    Ok(port)
}

fn say(line: &Value) -> anyhow::Result<()> {
    use std::io::Write;
    writeln!(std::io::stdout(), "{line}").context("nobody reads what the stand says")
}
