//! The route table.

use crate::{
    App, auth, check_in, containers, docs, error, events, health, host, images, log, metrics, openapi, origin,
};
use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tower::ServiceExt;
use tower_http::normalize_path::NormalizePath;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes, for a listener to ask.
#[derive(Clone)]
pub struct Routes(NormalizePath<Router>);

/// What takes credentials.
pub(crate) fn closed() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(images::list))
        .routes(routes!(containers::list, containers::create))
        .routes(routes!(containers::show, containers::change, containers::delete))
        .routes(routes!(events::why))
        .routes(routes!(events::of_container))
        .routes(routes!(events::follow))
        .routes(routes!(openapi::show))
        .routes(routes!(metrics::show))
}

/// What anybody may ask.
pub(crate) fn open() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(check_in::take))
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
}

/// The whole API.
pub fn api(app: &Arc<App>) -> Routes {
    let closed = Router::from(closed())
        .merge(docs::routes())
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn_with_state(Arc::clone(app), auth::require));
    let open = Router::from(open()).method_not_allowed_fallback(error::method_not_allowed);
    let routes = open.merge(closed).layer(from_fn(within));
    Routes::of(routes.with_state(Arc::clone(app)))
}

/// What containers reach at their gateway's address: check-in, and no other route.
pub fn check_in_only(app: &Arc<App>) -> Routes {
    let routes = Router::new()
        .route("/v1/check-in", post(check_in::take))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::method_not_allowed)
        .layer(from_fn(within_the_door));
    Routes::of(routes.with_state(Arc::clone(app)))
}

/// What every request of the API meets once it has its route. One layer for all of it: each costs two allocations.
async fn within(request: Request, next: Next) -> Response {
    metrics::note_route(request, async |request| {
        match host::check(&request).and_then(|()| origin::check(&request)) {
            Ok(()) => next.run(request).await,
            Err(failure) => failure.into_response(),
        }
    })
    .await
}

async fn within_the_door(request: Request, next: Next) -> Response {
    metrics::note_route(request, async |request| next.run(request).await).await
}

impl Routes {
    /// A trailing slash is taken for none.
    fn of(routes: Router) -> Self {
        Self(NormalizePath::trim_trailing_slash(routes))
    }

    /// Answers a request, whatever happens to it. What is around every route stands around the router: `Allow` is added outside
    /// of its layers.
    pub async fn answer(&self, request: Request) -> Response {
        log::each_request(request, async |request| {
            let is_options = request.method() == Method::OPTIONS;
            let answered = AssertUnwindSafe(self.0.clone().oneshot(request)).catch_unwind().await;
            let Ok(response) = answered.unwrap_or_else(|cause| Ok(error::panicked(cause)));
            if is_options { options(response) } else { response }
        })
        .await
    }
}

/// `OPTIONS` answers with the methods that the route knows, which is what a 405 says of it.
fn options(response: Response) -> Response {
    let known = response.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok());
    let allow = match (response.status(), known) {
        (StatusCode::METHOD_NOT_ALLOWED, Some(known)) => format!("{known},OPTIONS"),
        _ => return response,
    };
    let mut answer = Response::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    let allow = HeaderValue::try_from(allow).expect("method names are header text");
    answer.headers_mut().insert(header::ALLOW, allow);
    answer
}
