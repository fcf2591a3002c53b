//! A container as `/v1` shows it.
//!
//! The first eight fields are those of 2014: always there, always strings, in the order of its documentation. Whatever
//! stands after them is ours.

use crate::{PolicyBody, schema};
use model::policy::FreezeAfter;
use model::{Container, Endpoint, IdlePolicy, Phase, Protocol, Status, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

/// One container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Container, example = json!(schema::container("running")))]
pub struct ContainerBody {
    /// `starting`, `running`, `stopping` or `stopped`.
    #[schema(schema_with = schema::status)]
    pub status: String,
    /// With Docker's leading slash.
    pub name: String,
    /// The last check-in; without one, open connections, or "1" where bytes moved since the last look. "0": idle.
    #[schema(pattern = "^[0-9]+$")]
    pub active: String,
    /// The host port of SSH; empty while stopped, or where the image does not expose port 22.
    #[schema(pattern = "^[0-9]{0,5}$")]
    pub ssh_port: String,
    /// As it was asked for.
    pub image: String,
    /// 64 hex digits, for life.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub container_id: String,
    /// Where it answers in this API.
    pub uri: String,
    /// The host port of the application; empty while stopped, or where the image exposes none.
    #[schema(pattern = "^[0-9]{0,5}$")]
    pub app_port: String,
    /// How deep it sleeps: `awake`, `frozen` (its processes are held; memory and connections stay) or `stopped`.
    #[schema(schema_with = schema::depth)]
    pub depth: &'static str,
    /// The body that the engine runs at present.
    #[schema(pattern = "^[0-9a-f]{64}$")]
    pub engine_id: String,
    /// Every exposed port, asleep or not.
    pub endpoints: Vec<EndpointBody>,
    /// RFC 3339, in UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// RFC 3339, in UTC: the last use that a look or a check-in saw, else the last start.
    #[schema(format = DateTime)]
    pub last_activity: String,
    /// RFC 3339, in UTC: when it is looked at next; null where it never is.
    #[schema(format = DateTime, required)]
    pub next_look: Option<String>,
    /// RFC 3339, in UTC: when it is deleted if nobody uses it until then; null where that is not asked for.
    #[schema(format = DateTime, required)]
    pub expires_at: Option<String>,
    /// Why it does not run, or cannot be reached, although it should.
    #[schema(required)]
    pub failure: Option<String>,
    /// What is wrong with its image's labels; it runs all the same.
    pub warnings: Vec<String>,
    /// The idle policy that it lives under.
    pub policy: PolicyBody,
}

/// One exposed port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Endpoint)]
pub struct EndpointBody {
    /// Inside the container.
    pub container_port: u16,
    /// `tcp`, `udp` or `sctp`.
    #[schema(schema_with = schema::protocol)]
    pub protocol: Protocol,
    /// Whether connections to `address` reach it. Only TCP is forwarded.
    pub forwarded: bool,
    /// `HOST:PORT`, for life; null where it is not forwarded.
    #[schema(required)]
    pub address: Option<String>,
}

impl ContainerBody {
    /// Shows a container, whose id is known. `public_host` is what users reach the host by.
    pub fn new(
        container: &Container,
        active: String,
        failure: Option<String>,
        policy: &IdlePolicy,
        public_host: &str,
    ) -> Self {
        let status = container.phase.status();
        let id = container.container_id.as_ref().map(ToString::to_string).unwrap_or_default();
        Self {
            status: status.as_str().to_owned(),
            name: container.name.clone(),
            active,
            ssh_port: port(status, container.ssh_host_port()),
            image: container.image.clone(),
            uri: format!("/v1/containers/{id}"),
            container_id: id,
            app_port: port(status, container.app_host_port()),
            depth: container.phase.depth().as_str(),
            engine_id: container.engine_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            endpoints: container
                .endpoints
                .iter()
                .map(|endpoint| endpoint_body(endpoint, public_host))
                .collect(),
            created_at: rfc3339(container.created_at),
            last_activity: rfc3339(container.last_activity),
            next_look: next_look(&container.phase).map(rfc3339),
            expires_at: container.expires_at(policy).map(rfc3339),
            failure,
            warnings: container.warnings.clone(),
            policy: PolicyBody::from(&in_force(container, policy)),
        }
    }
}

/// With when it freezes as it holds for this container, where nobody says it.
fn in_force(container: &Container, policy: &IdlePolicy) -> IdlePolicy {
    let freeze_after = container.freezes_after(policy).map_or(FreezeAfter::Off, FreezeAfter::After);
    IdlePolicy { freeze_after, ..policy.clone() }
}

fn port(status: Status, host_port: Option<u16>) -> String {
    match (status, host_port) {
        (Status::Stopped, _) | (_, None) => String::new(),
        (_, Some(port)) => port.to_string(),
    }
}

fn endpoint_body(endpoint: &Endpoint, public_host: &str) -> EndpointBody {
    EndpointBody {
        container_port: endpoint.container_port,
        protocol: endpoint.protocol,
        forwarded: endpoint.host_port.is_some(),
        address: endpoint.host_port.map(|port| format!("{}:{port}", bracketed(public_host))),
    }
}

/// An IPv6 address takes brackets before a port (RFC 3986, 3.2.2).
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host.to_owned() }
}

fn next_look(phase: &Phase) -> Option<Timestamp> {
    match phase {
        Phase::Running { looks, .. } => looks.map(|looks| looks.next),
        _ => None,
    }
}

pub(crate) fn rfc3339(time: Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{ContainerId, EngineId, Key, Looks, Stage, StopReason};
    use std::net::Ipv4Addr;

    const POLICY: IdlePolicy = IdlePolicy::DEFAULT;

    fn tcp(container_port: u16, host_port: u16) -> Endpoint {
        Endpoint { container_port, protocol: Protocol::Tcp, host_port: Some(host_port), published: None }
    }

    fn container(phase: Phase) -> Container {
        Container {
            key: Key::new("k"),
            container_id: Some(ContainerId::new("1".repeat(64))),
            engine_id: Some(EngineId::new("1".repeat(64))),
            name: "/hungry_bell".into(),
            image: "atbaker/sd-postgres".into(),
            address: Ipv4Addr::LOCALHOST,
            endpoints: vec![
                tcp(22, 49155),
                Endpoint { container_port: 53, protocol: Protocol::Udp, host_port: None, published: None },
                tcp(5432, 49156),
            ],
            app_port: Some(5432),
            ready: None,
            image_says: Default::default(),
            owner_says: Default::default(),
            warnings: vec![],
            lives_since: None,
            created_at: Timestamp::from_millis(0),
            last_activity: Timestamp::from_millis(1_500),
            check_in: "0".into(),
            checked_in_at: None,
            failure: None,
            phase,
        }
    }

    fn body(phase: Phase, host: &str) -> serde_json::Value {
        let body = ContainerBody::new(&container(phase), "0".into(), None, &POLICY, host);
        serde_json::to_value(body).unwrap()
    }

    #[test]
    fn the_eight_fields_come_first_and_in_order() {
        let (since, next) = (Timestamp::from_millis(0), Timestamp::from_millis(60_000));
        let looks = Some(Looks { stage: Stage::Initial, since, next });
        let body = ContainerBody::new(
            &container(Phase::Running { looks, sleep: Default::default() }),
            "0".into(),
            None,
            &POLICY,
            "127.0.0.1",
        );
        let text = serde_json::to_string(&body).unwrap();
        let id = "1".repeat(64);
        let eight = format!(
            r#"{{"status":"running","name":"/hungry_bell","active":"0","ssh_port":"49155","image":"atbaker/sd-postgres","container_id":"{id}","uri":"/v1/containers/{id}","app_port":"49156","#
        );
        assert!(text.starts_with(&eight), "{text}");
        assert_eq!(body.next_look.as_deref(), Some("1970-01-01T00:01:00.000Z"));
        assert_eq!(body.last_activity, "1970-01-01T00:00:01.500Z");
    }

    #[test]
    fn a_stopped_one_has_empty_ports_and_its_endpoints_still() {
        let body = body(Phase::Stopped { reason: StopReason::Idle }, "db.example.org");
        assert_eq!((&body["ssh_port"], &body["app_port"]), (&"".into(), &"".into()));
        assert_eq!(body["endpoints"][2]["address"], "db.example.org:49156");
        assert_eq!(body["endpoints"][1]["forwarded"], false);
        assert_eq!(body["depth"], "stopped");
    }

    #[test]
    fn a_stopping_one_still_shows_its_ports() {
        let phase = Phase::Stopping { reason: StopReason::Asked, after: model::After::Stay };
        assert_eq!(body(phase, "::1")["app_port"], "49156");
    }

    #[test]
    fn when_it_freezes_is_shown_as_it_holds() {
        let shown = |container: &Container, policy: &IdlePolicy| {
            let body = ContainerBody::new(container, "0".into(), None, policy, "127.0.0.1");
            serde_json::to_value(body).unwrap()["policy"]["freeze_after"].clone()
        };
        let runs = container(Phase::Running { looks: None, sleep: Default::default() });
        assert_eq!(shown(&runs, &POLICY), 60);
        assert_eq!(shown(&runs, &IdlePolicy { disable_timeouts: true, ..POLICY }), "off");
        let reports = Container { checked_in_at: Some(Timestamp::from_millis(1)), ..runs };
        assert_eq!(shown(&reports, &POLICY), "off");
        let said = FreezeAfter::After(std::time::Duration::from_millis(1_500));
        assert_eq!(shown(&reports, &IdlePolicy { freeze_after: said, ..POLICY }), "1500ms");
    }

    #[test]
    fn an_ipv6_host_takes_brackets() {
        assert_eq!(
            body(Phase::Running { looks: None, sleep: Default::default() }, "::1")["endpoints"][0]["address"],
            "[::1]:49155"
        );
    }
}
