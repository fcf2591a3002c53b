//! `/v1/containers`: list, create, show, start and stop, delete.

use crate::App;
use crate::body::Fields;
use crate::error::Failure;
use crate::input::{InPath, InQuery};
use api::{ChangeContainer, ContainerBody, CreateContainer, Kind};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, StatusCode, header};
use control::{CreateRequest, Handle, View};
use serde::Deserialize;
use std::sync::Arc;

type Shown = Json<ContainerBody>;

#[derive(Deserialize)]
pub(crate) struct ListQuery {
    #[serde(default)]
    audit: String,
}

pub(crate) async fn list(
    State(app): State<Arc<App>>,
    InQuery(query): InQuery<ListQuery>,
) -> Result<Json<Vec<ContainerBody>>, Failure> {
    let views = if matches!(query.audit.to_ascii_lowercase().as_str(), "true" | "1" | "yes") {
        app.control.audit().await.map_err(|error| Failure::engine(&app, &error))?
    } else {
        app.control.list()
    };
    Ok(Json(views.iter().map(|view| shown(&app, view)).collect()))
}

pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Fields(asked): Fields<CreateContainer>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Shown), Failure> {
    let env = asked.env.unwrap_or_default();
    if let Some(name) = env.keys().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
        return Err(Failure::new(
            Kind::InvalidField,
            format!("env: {name:?} cannot be the name of a variable"),
        ));
    }
    if let Some((name, _)) = env.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Failure::new(Kind::InvalidField, format!("env: the value of {name:?} holds a NUL")));
    }
    let env = env.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    let request = CreateRequest { image: asked.image.unwrap_or_default().trim().to_owned(), env };
    let view = app.control.create(request).await.map_err(|error| Failure::create(&app, &error))?;
    let body = shown(&app, &view);
    Ok((StatusCode::CREATED, [(header::LOCATION, body.uri.clone())], Json(body)))
}

pub(crate) async fn show(State(app): State<Arc<App>>, InPath(id): InPath<String>) -> Result<Shown, Failure> {
    let handle = find(&app, &id)?;
    Ok(Json(shown(&app, &handle.view())))
}

pub(crate) async fn change(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
    Fields(change): Fields<ChangeContainer>,
) -> Result<Shown, Failure> {
    let handle = find(&app, &id)?;
    let changed = match change.status.as_deref() {
        Some("running") => handle.start().await,
        Some("stopped") => handle.stop().await,
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            let message = format!("status must be running or stopped, not {shown:?}");
            return Err(Failure::new(Kind::InvalidField, message));
        }
        None => {
            return Err(Failure::new(
                Kind::InvalidField,
                "A change takes one field: status, running or stopped",
            ));
        }
    };
    let view = changed.map_err(|error| Failure::command(&app, &id, &error))?;
    Ok(Json(shown(&app, &view)))
}

pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    InPath(id): InPath<String>,
) -> Result<StatusCode, Failure> {
    let handle = find(&app, &id)?;
    handle.delete().await.map_err(|error| Failure::command(&app, &id, &error))?;
    Ok(StatusCode::NO_CONTENT)
}

fn find(app: &App, id: &str) -> Result<Handle, Failure> {
    app.control.find(id).map_err(|error| Failure::find(&error))
}

fn shown(app: &App, view: &View) -> ContainerBody {
    ContainerBody::new(&view.container, view.active(), view.failure(), &view.policy, &app.public_host)
}
