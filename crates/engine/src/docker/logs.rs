//! The last lines that a container wrote.

use super::{Docker, QUICK};
use crate::Result;
use bollard::query_parameters::LogsOptions;
use futures_util::TryStreamExt;
use model::EngineId;

/// Of one line: a page shows no more.
const LONGEST: usize = 500;

impl Docker {
    pub(super) async fn last_lines(&self, id: &EngineId, count: usize) -> Result<Vec<String>> {
        let options =
            LogsOptions { stdout: true, stderr: true, tail: count.to_string(), ..Default::default() };
        let lines =
            self.client.logs(id.as_str(), Some(options)).try_fold(Vec::new(), async |mut lines, output| {
                let line: String = output.to_string().trim_end().chars().take(LONGEST).collect();
                lines.push(line);
                Ok(lines)
            });
        let mut lines = self.call("read what the container wrote", QUICK, lines).await?;
        // What was written within one moment comes in pieces.
        lines.drain(..lines.len().saturating_sub(count));
        Ok(lines)
    }
}
