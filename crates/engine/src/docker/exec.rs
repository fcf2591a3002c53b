//! Commands run inside a container: ours, to its end, and how many there are.

use super::{Docker, QUICK};
use crate::Result;
use bollard::errors::Error as BollardError;
use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use futures_util::StreamExt;
use model::EngineId;
use std::time::Duration;

impl Docker {
    pub(super) async fn run_inside(
        &self,
        id: &EngineId,
        command: &[String],
        within: Duration,
    ) -> Result<i64> {
        self.thaw_first(id).await;
        let config = ExecConfig {
            cmd: Some(command.to_vec()),
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

    /// Docker lists a command from its making on, and one that nobody ever starts until its own end: those are not counted.
    pub(super) async fn count_running_execs(&self, id: &EngineId) -> Result<usize> {
        let listed = self.look_at(id).await?.exec_ids.unwrap_or_default();
        let mut running = 0;
        for exec in listed {
            match self.call("inspect a command", QUICK, self.client.inspect_exec(&exec)).await {
                Ok(seen) => running += usize::from(seen.running.unwrap_or_default()),
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(running)
    }

    async fn to_its_end(&self, exec: &str) -> std::result::Result<(), BollardError> {
        if let StartExecResults::Attached { mut output, .. } = self.client.start_exec(exec, None).await? {
            while output.next().await.transpose()?.is_some() {}
        }
        Ok(())
    }
}
