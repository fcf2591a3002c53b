//! The route table.

use crate::{
    App, auth, check_in, containers, docs, error, health, host, images, log, metrics, openapi, origin,
};
use axum::Router;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::post;
use std::sync::Arc;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::normalize_path::NormalizePath;
use tower_http::request_id::{PropagateRequestIdLayer, SetRequestIdLayer};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// A router that takes a trailing slash for none.
pub type Routes = NormalizePath<Router>;

/// What takes credentials.
pub(crate) fn closed() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::default()
        .routes(routes!(images::list))
        .routes(routes!(containers::list, containers::create))
        .routes(routes!(containers::show, containers::change, containers::delete))
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
    let routes =
        open.merge(closed).layer(from_fn(origin::refuse_foreign)).layer(from_fn(host::refuse_foreign));
    finish(routes.with_state(Arc::clone(app)))
}

/// What containers reach at their gateway's address: check-in, and no other route.
pub fn check_in_only(app: &Arc<App>) -> Routes {
    let routes = Router::new()
        .route("/v1/check-in", post(check_in::take))
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::method_not_allowed);
    finish(routes.with_state(Arc::clone(app)))
}

fn finish(routes: Router) -> Routes {
    let around = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(log::MintRequestId))
        .layer(from_fn(log::each_request))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(CatchPanicLayer::custom(error::panicked))
        .layer(from_fn(options));
    let routes = routes.layer(from_fn(metrics::note_route));
    // A router adds `Allow` outside of its own layers: only a router around it sees that.
    NormalizePath::trim_trailing_slash(Router::new().fallback_service(routes).layer(around))
}

/// `OPTIONS` answers with the methods that the route knows, which is what a 405 says of it.
async fn options(request: axum::extract::Request, next: axum::middleware::Next) -> Response {
    let asked = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let known =
        response.headers().get(header::ALLOW).and_then(|allow| allow.to_str().ok()).map(str::to_owned);
    if let (true, StatusCode::METHOD_NOT_ALLOWED, Some(known)) = (asked, response.status(), known) {
        response = Response::default();
        *response.status_mut() = StatusCode::NO_CONTENT;
        let allow = HeaderValue::try_from(format!("{known},OPTIONS"));
        response.headers_mut().insert(header::ALLOW, allow.expect("method names are header text"));
    }
    response
}
