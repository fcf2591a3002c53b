//! A create, from the request to the running container: look at the image, allot, write the intent down, then ask the
//! engine. A crash after any step is finished at the next start and never orphaned.

use crate::Settings;
use crate::admission::{Admitted, TooMany};
use crate::check_in::way_in;
use crate::control::Control;
use crate::handle::{CommandError, View};
use crate::ledger::{Allotment, LedgerError};
use crate::room::NoRoom;
use crate::store::{Change, StoreError};
use crate::supervisor::{Beginning, Supervisor};
use engine::{ContainerSpec, Engine, EngineError, File};
use model::container::{MAX_ENDPOINTS, NO_CHECK_IN};
use model::image::is_reference;
use model::{Container, Endpoint, Image, Key, Phase, Protocol, Said, Timestamp};
use std::net::SocketAddrV4;
use std::sync::Arc;
use tokio::sync::oneshot;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct CreateRequest {
    /// The image, by any name that the engine knows.
    pub image: String,
    /// `NAME=VALUE`, beside the image's own. Given to the engine and kept nowhere else.
    pub env: Vec<String>,
    /// What its owner says of its idle policy.
    pub policy: Said,
}

/// Why there is no new container.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// No name was given.
    #[error("Image cannot be blank")]
    Blank,
    /// No image can go by this name.
    #[error("{} cannot be the name of an image; one is such as atbaker/sd-postgres or localhost:5000/name:tag", shown(.0))]
    InvalidReference(String),
    /// The engine has no such image.
    #[error("Image {0} not found on this server")]
    ImageNotFound(String),
    /// Nothing to reach it by.
    #[error(
        "This image does not expose any ports. Use the EXPOSE command in your dockerfile to specify some."
    )]
    NoPorts,
    /// More than a container may have.
    #[error("Image {image} exposes {count} TCP ports; at most {MAX_ENDPOINTS} are forwarded")]
    TooManyPorts {
        /// The image.
        image: String,
        /// How many it exposes.
        count: usize,
    },
    /// As many creates as there may be are under way and waiting.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// It would leave less memory or disk than is to be kept free.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
    /// No port or no address is left.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Nothing was made, since the intent could not be written down.
    #[error("the state could not be saved")]
    Store(#[source] Arc<StoreError>),
    /// The engine failed before anything was made.
    #[error("the engine failed")]
    Engine(#[source] EngineError),
    /// The engine made or started it in vain; nothing of it is left.
    #[error("the container could not be made")]
    Failed(#[source] CommandError),
}

/// The beginning of a name that nobody can be called, on one line.
fn shown(name: &str) -> String {
    const SHOWN: usize = 60;
    let start: String = name.chars().take(SHOWN).collect();
    let more = if start == name { "" } else { "…" };
    format!("{start:?}{more}")
}

impl Control {
    /// Makes a container and answers with it running. Dropping the future takes a create back that waits for admission, and
    /// no other.
    pub async fn create(self: &Arc<Self>, request: CreateRequest) -> Result<Arc<View>, CreateError> {
        check_name(&request.image)?;
        let admitted = self.shared.ending.run_until_cancelled(self.shared.admission.admit()).await;
        let admitted = admitted.ok_or(CreateError::Failed(CommandError::Ending))??;
        let control = Arc::clone(self);
        let making = async move { control.create_now(request, admitted).await };
        let task = self.shared.tasks.spawn_on(making, &self.shared.runtime);
        task.await.unwrap_or(Err(CreateError::Failed(CommandError::Ending)))
    }

    async fn create_now(&self, request: CreateRequest, _: Admitted) -> Result<Arc<View>, CreateError> {
        let image = self.usable_image(&request.image).await?;
        self.check_room()?;
        let container = Arc::new(self.allot(&request, &image)?);
        let intent = || vec![Change::Put(Arc::clone(&container)), self.shared.ledger.trails()];
        if let Err(error) = self.shared.journal.commit_as_of_now(intent).await {
            self.take_back(&container, &error);
            return Err(CreateError::Store(error));
        }
        let spec = self.spec(&container, &image, request.env);
        let (answer, result) = oneshot::channel();
        Supervisor::spawn(Arc::clone(&self.shared), container, Beginning::Create(Box::new(spec), answer));
        result.await.unwrap_or(Err(CommandError::Ending)).map_err(CreateError::Failed)
    }

    /// A write that met a full disk was rolled back: nobody can have been told of it. After another failure, such as of a sync, the
    /// intent may be on disk all the same, and what it has rests.
    fn take_back(&self, container: &Container, error: &StoreError) {
        let ledger = &self.shared.ledger;
        if error.is_full() {
            return ledger.undo(container);
        }
        ledger.let_go(container);
        ledger.give_back(container, self.shared.clock.now());
    }

    async fn usable_image(&self, name: &str) -> Result<Image, CreateError> {
        usable_image(&*self.shared.engine, name).await
    }

    /// Those that are under way may not have taken yet what they may take.
    fn check_room(&self) -> Result<(), NoRoom> {
        let settings = &self.shared.settings;
        let each = u64::try_from(settings.limits.memory).unwrap_or_default();
        let under_way = u64::try_from(self.shared.admission.under_way()).unwrap_or(u64::MAX);
        settings.reserves.check(self.shared.room.as_ref(), each.saturating_mul(under_way))
    }

    fn allot(&self, request: &CreateRequest, image: &Image) -> Result<Container, LedgerError> {
        let now = self.shared.clock.now();
        let publish = self.shared.settings.publish;
        let allotment = self.shared.ledger.allot(image.tcp_ports().len(), publish, now)?;
        Ok(conceive(Key::new((self.shared.mint)()), request, image, &allotment, now))
    }

    fn spec(&self, container: &Container, image: &Image, env: Vec<String>) -> ContainerSpec {
        spec(&self.shared.settings, &self.shared.owner, self.network().name, container, image, env)
    }
}

/// The image, if a container of it can be reached.
pub(crate) async fn usable_image(engine: &dyn Engine, name: &str) -> Result<Image, CreateError> {
    let image = engine.image(name).await.map_err(|error| match error {
        error if error.is_not_found() => CreateError::ImageNotFound(name.to_owned()),
        error if error.is_invalid() => CreateError::InvalidReference(name.to_owned()),
        error => CreateError::Engine(error),
    })?;
    match image.tcp_ports().len() {
        0 => Err(CreateError::NoPorts),
        1..=MAX_ENDPOINTS => Ok(image),
        count => Err(CreateError::TooManyPorts { image: name.to_owned(), count }),
    }
}

/// A container that is to be made.
pub(crate) fn conceive(
    key: Key,
    request: &CreateRequest,
    image: &Image,
    allotment: &Allotment,
    now: Timestamp,
) -> Container {
    let (image_says, warnings) = policy_of(&request.image, image);
    Container {
        key,
        container_id: None,
        engine_id: None,
        name: String::new(),
        image: request.image.clone(),
        address: allotment.address,
        endpoints: endpoints(image, allotment),
        app_port: image.app_port(),
        ready: image.ready(),
        image_says,
        owner_says: request.policy.clone(),
        warnings,
        created_at: now,
        lives_since: None,
        last_activity: now,
        check_in: NO_CHECK_IN.to_owned(),
        checked_in_at: None,
        failure: None,
        phase: Phase::Creating,
    }
}

/// The body that it is to have.
pub(crate) fn spec(
    settings: &Settings,
    owner: &str,
    network: String,
    container: &Container,
    image: &Image,
    env: Vec<String>,
) -> ContainerSpec {
    let url = settings.check_in_url.as_deref().filter(|_| container.is_published());
    let way_in = std::iter::once(way_in(url, container));
    ContainerSpec {
        key: container.key.as_str().to_owned(),
        owner: owner.to_owned(),
        instance: settings.instance.clone(),
        image: container.image.clone(),
        network,
        address: Some(container.address),
        publish: published(container),
        env: settings.env.iter().cloned().chain(way_in).chain(env).collect(),
        files: authorized_keys(settings, image).into_iter().collect(),
        limits: settings.limits.clone(),
        ..ContainerSpec::default()
    }
}

/// What the engine publishes of it, and where.
fn published(container: &Container) -> Vec<(u16, SocketAddrV4)> {
    let published = |endpoint: &Endpoint| Some((endpoint.container_port, endpoint.published?));
    container.endpoints.iter().filter_map(published).collect()
}

fn authorized_keys(settings: &Settings, image: &Image) -> Option<File> {
    let path = image.authorized_keys()?.to_owned();
    let content = settings.authorized_keys.clone().into_bytes();
    (!content.is_empty()).then_some(File { path, content, mode: 0o600 })
}

/// What can be said of a name without asking the engine.
fn check_name(name: &str) -> Result<(), CreateError> {
    match name {
        blank if blank.trim().is_empty() => Err(CreateError::Blank),
        name if !is_reference(name) => Err(CreateError::InvalidReference(name.to_owned())),
        _ => Ok(()),
    }
}

/// What an image says of the idle policy. Whoever asked for it is told what of its labels says nothing, and so is the log.
fn policy_of(name: &str, image: &Image) -> (Said, Vec<String>) {
    let (said, idle) = image.policy();
    let warnings: Vec<String> = idle.iter().map(ToString::to_string).collect();
    warnings.iter().for_each(|warning| tracing::warn!(image = name, "{warning}"));
    (said, warnings)
}

/// Every exposed port; the TCP ones with the host ports, both ascending.
fn endpoints(image: &Image, allotment: &Allotment) -> Vec<Endpoint> {
    let published = allotment.published.iter().copied().map(Some).chain(std::iter::repeat(None));
    let tcp = image.tcp_ports().into_iter().zip(&allotment.ports).zip(published);
    let tcp = tcp.map(|((container_port, host_port), published)| Endpoint {
        container_port,
        protocol: Protocol::Tcp,
        host_port: Some(*host_port),
        published,
    });
    let rest = image.exposed.iter().filter(|spec| spec.protocol != Protocol::Tcp);
    let rest = rest.map(|spec| Endpoint {
        container_port: spec.port,
        protocol: spec.protocol,
        host_port: None,
        published: None,
    });
    let mut endpoints: Vec<Endpoint> = tcp.chain(rest).collect();
    endpoints.sort_by_key(|endpoint| (endpoint.container_port, endpoint.protocol));
    endpoints
}
