//! `/v1/containers`: list, create, show, start and stop, delete.

use crate::body::Fields;
use crate::error::Failure;
use crate::input::{InPath, InQuery, truth, truth_schema};
use crate::written::{Written, body};
use crate::{App, problems};
use api::{
    ChangeContainer, ChangeForm, ContainerBody, CreateContainer, CreateForm, Kind, PolicyRequest,
    example_container,
};
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use control::{CommandError, CreateRequest, Handle, View};
use model::Amendment;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use utoipa::IntoParams;
use utoipa::openapi::schema::Object;

/// How a container is named in a path.
pub(crate) const ID: &str =
    "Its `container_id`, at least 12 digits of its beginning, or its name, with or without the slash (`%2F`)";

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    #[serde(default, deserialize_with = "truth")]
    #[param(schema_with = audit_schema)]
    audit: bool,
}

fn audit_schema() -> Object {
    truth_schema("Compare every container with the engine first")
}

/// List every container that was made and not deleted, oldest first
#[utoipa::path(get, path = "/v1/containers", operation_id = "list_containers", tag = "containers",
    params(ListQuery),
    responses(
        (status = 200, description = "Stopped ones too", body = Vec<ContainerBody>,
            example = json!([example_container("running"), example_container("stopped")])),
        problems::ListContainers,
    ),
)]
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Written, Failure> {
    let views = if query.audit {
        app.control.audit().await.map_err(|error| Failure::engine(&app, &error))?
    } else {
        app.control.list()
    };
    Ok(Written::all(&app, views))
}

/// Make a container and start it
///
/// Answers once it runs. Each TCP port that the image exposes gets an address for the container's life; a connection is held
/// until the application accepts.
#[utoipa::path(post, path = "/v1/containers", operation_id = "create_container", tag = "containers",
    request_body(content(
        (CreateForm = "application/x-www-form-urlencoded", example = json!({"image": "atbaker/sd-postgres"})),
        (CreateContainer = "application/json", examples(
            ("2014" = (summary = "As in 2014", value = json!({"image": "atbaker/sd-postgres"}))),
            ("env" = (summary = "With an environment", value = json!({
                "image": "atbaker/sd-postgres", "env": {"POSTGRES_PASSWORD": "secret"},
            }))),
            ("policy" = (summary = "With an idle policy", value = json!({
                "image": "atbaker/sd-postgres", "policy": {"freeze_after": "5m", "expires_after": "7d"},
            }))),
        )),
    )),
    responses(
        (status = 201, description = "It runs", body = ContainerBody,
            headers(("Location" = String, description = "Its `uri`")),
            links(
                ("show" = (operation_id = "show_container", parameters(("id" = "$response.body#/container_id")))),
                ("change" = (operation_id = "change_container", parameters(("id" = "$response.body#/container_id")))),
                ("delete" = (operation_id = "delete_container", parameters(("id" = "$response.body#/container_id")))),
            )),
        problems::CreateContainer,
    ),
)]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Fields(asked): Fields<CreateContainer>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Written), Failure> {
    let env = variables(asked.env.unwrap_or_default())?;
    let image = asked.image.unwrap_or_default().trim().to_owned();
    let policy = amendment(&asked.policy.unwrap_or_default())?.alone();
    let request = CreateRequest { image, env, policy };
    let view = app.control.create(request).await.map_err(|error| Failure::create(&app, &error))?;
    let uri = body(&app, &view, &view.active()).uri;
    Ok((StatusCode::CREATED, [(header::LOCATION, uri)], Written::one(&app, &view)))
}

/// As `NAME=VALUE`. What no process can have in its environment is a mistake.
fn variables(env: BTreeMap<String, String>) -> Result<Vec<String>, Failure> {
    let mistake = |words| Err(Failure::new(Kind::InvalidField, format!("env: {words}")));
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return mistake(format!("{name:?} cannot be the name of a variable"));
    }
    if let Some((name, _)) = env.iter().find(|(_, value)| value.contains('\0')) {
        return mistake(format!("the value of {name:?} holds a NUL"));
    }
    Ok(env.into_iter().map(|(name, value)| format!("{name}={value}")).collect())
}

fn amendment(said: &PolicyRequest) -> Result<Amendment, Failure> {
    said.amendment().map_err(|mistake| Failure::new(Kind::InvalidField, mistake.to_string()))
}

/// Show one container
#[utoipa::path(get, path = "/v1/containers/{id}", operation_id = "show_container", tag = "containers",
    params(("id" = String, Path, description = ID, example = "hungry_bell")),
    responses((status = 200, description = "As it is", body = ContainerBody), problems::ShowContainer),
)]
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
) -> Result<Written, Failure> {
    let handle = find(&app, &id)?;
    Ok(Written::one(&app, &handle.view()))
}

/// Start, stop, freeze or thaw a container, or change its idle policy
///
/// A start answers once it runs, with the ports that it always had; a running one is left as it is. A stop answers at once with
/// `stopping`; within 10 s or so the container is `stopped`. A depth is of a running container: `frozen`, its processes are held, with memory and
/// connections kept, until somebody uses it; `awake`, they go on. Both answer once that is so.
///
/// Several of these are done in the order policy, status, depth; without a status, the depth before the policy, since a policy that
/// never freezes wakes what froze by itself, and leaves what somebody froze. What was done before one fails stays.
#[utoipa::path(patch, path = "/v1/containers/{id}", operation_id = "change_container", tag = "containers",
    params(("id" = String, Path, description = ID, example = "hungry_bell")),
    request_body(content(
        (ChangeForm = "application/x-www-form-urlencoded", example = json!({"status": "stopped"})),
        (ChangeContainer = "application/json", examples(
            ("stop" = (value = json!({"status": "stopped"}))),
            ("start" = (value = json!({"status": "running"}))),
            ("freeze" = (value = json!({"depth": "frozen"}))),
            ("policy" = (value = json!({"policy": {"freeze_after": 300, "expires_after": null}}))),
        )),
    )),
    responses(
        (status = 200, description = "As it is now; what was to stop may be about to", body = ContainerBody, examples(
            ("stop" = (summary = "After a stop", value = json!(example_container("stopping")))),
            ("start" = (summary = "After a start", value = json!(example_container("running")))),
        )),
        problems::ChangeContainer,
    ),
)]
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    Fields(change): Fields<ChangeContainer>,
) -> Result<Written, Failure> {
    let handle = find(&app, &id)?;
    let change = Change::of(&change)?;
    let view = change.make(&handle).await.map_err(|error| Failure::command(&app, &id, &error))?;
    Ok(Written::one(&app, &view))
}

/// What a change asks for, read before anything of it is done.
struct Change {
    policy: Option<Amendment>,
    /// Whether it is to run.
    runs: Option<bool>,
    /// Whether it is to be frozen.
    frozen: Option<bool>,
}

impl Change {
    fn of(asked: &ChangeContainer) -> Result<Self, Failure> {
        if *asked == ChangeContainer::default() {
            let words = "A change takes status, running or stopped; depth, frozen or awake; or policy";
            return Err(Failure::new(Kind::InvalidField, words));
        }
        let runs = either("status", asked.status.as_deref(), ["running", "stopped"])?;
        let frozen = either("depth", asked.depth.as_deref(), ["frozen", "awake"])?;
        let policy = asked.policy.as_ref().map(amendment).transpose()?;
        if let (Some(false), Some(_)) = (runs, frozen) {
            let words = "status is stopped, and depth is of a container that runs; ask for one of them";
            return Err(Failure::new(Kind::NotRunning, words));
        }
        Ok(Self { policy, runs, frozen })
    }

    async fn make(self, handle: &Handle) -> Result<Arc<View>, CommandError> {
        let mut view = handle.view();
        // Under a policy that says never, what froze by itself goes on, and what somebody has frozen stays so.
        let (now, at_last) = if self.runs.is_none() { (self.frozen, None) } else { (None, self.frozen) };
        if let Some(frozen) = now {
            view = sleep(handle, frozen).await?;
        }
        if let Some(amendment) = self.policy {
            view = handle.say_policy(amendment).await?;
        }
        if let Some(runs) = self.runs {
            view = if runs { handle.start().await } else { handle.stop().await }?;
        }
        if let Some(frozen) = at_last {
            view = sleep(handle, frozen).await?;
        }
        Ok(view)
    }
}

async fn sleep(handle: &Handle, frozen: bool) -> Result<Arc<View>, CommandError> {
    if frozen { handle.freeze().await } else { handle.thaw().await }
}

/// Which of two words it is, the first or not.
fn either(field: &str, asked: Option<&str>, [yes, no]: [&str; 2]) -> Result<Option<bool>, Failure> {
    match asked {
        None => Ok(None),
        Some(word) if word == yes => Ok(Some(true)),
        Some(word) if word == no => Ok(Some(false)),
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            Err(Failure::new(Kind::InvalidField, format!("{field} must be {yes} or {no}, not {shown:?}")))
        }
    }
}

/// Delete a container, with its data
///
/// Stopped first, if it runs. It is on no list from then on; anonymous volumes go with it, named ones stay.
#[utoipa::path(delete, path = "/v1/containers/{id}", operation_id = "delete_container", tag = "containers",
    params(("id" = String, Path, description = ID, example = "hungry_bell")),
    responses((status = 204, description = "It is no more"), problems::DeleteContainer),
)]
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Failure> {
    let handle = find(&app, &id)?;
    handle.delete().await.map_err(|error| Failure::command(&app, &id, &error))?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) fn find(app: &App, id: &str) -> Result<Handle, Failure> {
    app.control.find(id).map_err(|error| Failure::find(&error))
}
