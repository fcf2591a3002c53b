//! `/docs`: the OpenAPI document as a page, for people. Everything that it needs is in the program, and the browser is told
//! to load nothing else.

use crate::App;
use axum::Router;
use axum::http::{HeaderName, header};
use axum::routing::get;
use std::sync::Arc;

/// Its own style, its own script, and the document that the script asks for.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

type Page = ([(HeaderName, &'static str); 3], &'static str);

pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/docs", get(async || page("text/html; charset=utf-8", include_str!("docs/page.html"))))
        .route("/docs/page.css", get(async || page("text/css; charset=utf-8", include_str!("docs/page.css"))))
        .route(
            "/docs/page.js",
            get(async || page("text/javascript; charset=utf-8", include_str!("docs/page.js"))),
        )
}

fn page(kind: &'static str, text: &'static str) -> Page {
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, text)
}
