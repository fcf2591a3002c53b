//! A command run inside a container, to its end.

use super::{Docker, QUICK};
use crate::Result;
use bollard::errors::Error as BollardError;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use model::EngineId;
use std::time::Duration;

impl Docker {
    pub(super) async fn run_inside(&self, id: &EngineId, command: &str, within: Duration) -> Result<i64> {
        let config = ExecConfig {
            cmd: Some(["sh", "-c", command].map(str::to_owned).to_vec()),
            // The stream's end is the command's.
            attach_stdout: Some(true),
            ..ExecConfig::default()
        };
        let made =
            self.call("prepare a command", QUICK, self.client.create_exec(id.as_str(), config)).await?;
        self.call("run a command", within, self.to_its_end(&made.id)).await?;
        let seen = self.call("inspect a command", QUICK, self.client.inspect_exec(&made.id)).await?;
        Ok(seen.exit_code.unwrap_or_default())
    }

    async fn to_its_end(&self, exec: &str) -> std::result::Result<(), BollardError> {
        if let StartExecResults::Attached { mut output, .. } = self.client.start_exec(exec, None).await? {
            while output.next().await.transpose()?.is_some() {}
        }
        Ok(())
    }
}
