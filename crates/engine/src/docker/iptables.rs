//! The host's own iptables, one rule at a time.

use crate::{EngineError, Result};
use std::io;
use tokio::process::Command;

const WAIT_FOR_LOCK: &str = "5";

/// A table of rules, such as `nat`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table(pub(super) &'static str);

impl Table {
    /// Runs `iptables ARGS` on it, or says what iptables said.
    pub(super) async fn change(self, args: &[&str]) -> Result<()> {
        self.ask(args).await.map(drop)
    }

    /// The same, where it may be that there is nothing to do.
    pub(super) async fn is_done(self, args: &[&str]) -> Result<bool> {
        Ok(self.run(args).await?.status.success())
    }

    /// All its chains and rules, one a line, as they would be put.
    pub(super) async fn rules(self) -> Result<String> {
        self.ask(&["-S"]).await
    }

    async fn ask(self, args: &[&str]) -> Result<String> {
        let output = self.run(args).await?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(self.failed(args, io::Error::other(said)))
    }

    async fn run(self, args: &[&str]) -> Result<std::process::Output> {
        let mut command = Command::new("iptables");
        command.args(["-w", WAIT_FOR_LOCK, "-t", self.0]).args(args).kill_on_drop(true);
        command.output().await.map_err(|source| self.failed(args, source))
    }

    fn failed(self, args: &[&str], source: io::Error) -> EngineError {
        let doing = format!("run iptables -t {} {}", self.0, args.join(" "));
        EngineError::Host { doing, source: source.into() }
    }
}
