//! Whether an application listens, asked from inside: where the engine's own proxy accepts in its place, connecting does not tell.

use super::Docker;
use crate::{EngineError, Result, Socket, SocketKind};
use model::EngineId;
use std::time::Duration;

/// How long a look may take in all.
const WITHIN: Duration = Duration::from_secs(5);
/// How it is said that there is no such program in the image, or that it may not be run: by a code, or by the engine's words.
const NO_PROGRAM: [i64; 2] = [126, 127];
const NO_PROGRAM_WORDS: [&str; 2] = ["executable file not found", "no such file or directory"];

impl Docker {
    /// The kernel is asked, where we may; else a program that most images have.
    pub(super) async fn listens_inside(&self, id: &EngineId, port: u16) -> Result<bool> {
        let late = |_| EngineError::TimedOut { doing: "look inside".into(), seconds: WITHIN.as_secs() };
        tokio::time::timeout(WITHIN, self.look_for_listener(id, port)).await.map_err(late)?
    }

    async fn look_for_listener(&self, id: &EngineId, port: u16) -> Result<bool> {
        if let Some(sockets) = self.sockets_of(id).await? {
            let mut listening = sockets.iter().filter(|socket| socket.kind == SocketKind::Listening);
            return Ok(
                listening.any(|Socket { local, .. }| local.port() == port && !local.ip().is_loopback())
            );
        }
        match self.run_inside(id, &look(port), WITHIN).await {
            Ok(code) => Ok(code == 0 || NO_PROGRAM.contains(&code)),
            Err(error) if NO_PROGRAM_WORDS.iter().any(|words| error.to_string().contains(words)) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// An IPv4 address in the kernel's tables, in the host's order of bytes, outside of 127.0.0.0/8; also mapped into an IPv6 one.
const V4: &str = "(0{16}FFFF0000|0{20}FFFF)?[0-9A-F]{6}([0-689A-F][0-9A-F]|7[0-9A-E])";
/// An IPv6 address there that is `::`, or that of an interface: neither `::1` nor mapped.
const V6: &str = "0{32}|[0-9A-F]{0,15}[1-9A-F][0-9A-F]{16,31}";

/// The kernel's tables: the local address and port in hex are the second column, and 0A is LISTEN. Whoever listens on the container's
/// own loopback is not reached.
fn look(port: u16) -> [String; 5] {
    let listener = format!("^ *[0-9]+: ({V4}|{V6}):{port:04X} [0-9A-F]+:0000 0A ");
    ["grep", "-qsE", &listener, "/proc/net/tcp", "/proc/net/tcp6"].map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::look;
    use std::net::TcpListener;
    use std::process::Command;

    #[test]
    fn the_look_finds_who_listens_and_nobody_else() {
        for (address, is_reached) in [
            ("0.0.0.0:0", true),
            ("[::]:0", true),
            ("127.0.0.1:0", false),
            ("[::1]:0", false),
            ("[::ffff:127.0.0.1]:0", false),
            ("[::ffff:0.0.0.0]:0", true),
        ] {
            let listener = TcpListener::bind(address).unwrap();
            let port = listener.local_addr().unwrap().port();
            let finds = || {
                let [program, arguments @ ..] = look(port);
                Command::new(program).args(arguments).status().unwrap().success()
            };
            assert_eq!(finds(), is_reached, "{address}");
            drop(listener);
            assert!(!finds(), "{address}");
        }
    }
}
