//! The OpenAPI document, made from the routes and the bodies themselves, and served.

use crate::{problems, routes};
use api::{Kind, Problem};
use axum::http::{HeaderName, header};
use serde_json::json;
use std::sync::LazyLock;
use utoipa::PartialSchema;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Ref};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::tag::{Tag, TagBuilder};
use utoipa::openapi::{
    InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, RefOr, ResponseBuilder, ServerBuilder, Type,
};

const SCHEME: &str = "basic";
const REQUEST_ID: &str = "x-request-id";

const ABOUT: &str = "\
Containers on request that cost nothing while idle. Bodies are forms or JSON. Every error is a problem document (RFC 9457) with the \
`message` of 2014 beside the standard members; `x-problems` lists their types. A method that a path does not know is a 405 with \
`Allow`, a path that is not there a 404. A request may bring an `x-request-id`; the answer and the log carry it.";

/// The whole document.
pub fn openapi() -> OpenApi {
    let mut closed = routes::closed().into_openapi();
    operations(&mut closed).for_each(|operation| {
        operation.security = Some(vec![SecurityRequirement::new(SCHEME, [] as [&str; 0])]);
    });
    let mut open = routes::open().into_openapi();
    operations(&mut open).for_each(|operation| operation.security = Some(Vec::new()));
    let mut document = frame();
    document.merge(closed);
    document.merge(open);
    operations(&mut document).for_each(with_request_id);
    document
}

fn frame() -> OpenApi {
    let license = LicenseBuilder::new().name("MIT").identifier(Some("MIT")).build();
    let info = InfoBuilder::new().title("spin-docker").version(env!("CARGO_PKG_VERSION"));
    let info = info.description(Some(ABOUT)).license(Some(license));
    let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Basic).description(Some("The user is `admin`."));
    let request_id = HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(Type::String)));
    let request_id =
        request_id.description(Some("The request's id, its own or a new one: the log carries it"));
    let components = ComponentsBuilder::new()
        .security_scheme(SCHEME, SecurityScheme::Http(scheme.build()))
        .header(REQUEST_ID, request_id.build())
        .schema("Problem", Problem::schema());
    let mut frame = OpenApiBuilder::new()
        .info(info)
        .servers(Some([ServerBuilder::new().url("/").build()]))
        .tags(Some(tags()))
        .components(Some(components.build()))
        .build();
    frame.extensions = Some(Extensions::from_iter([("x-problems", every_problem())]));
    frame
}

fn tags() -> [Tag; 4] {
    [
        ("images", "What may be asked for"),
        ("containers", "What was asked for"),
        ("check-in", "What containers report themselves, from inside"),
        ("operation", "For those who run it"),
    ]
    .map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build())
}

fn every_problem() -> serde_json::Value {
    let problem = |kind: &Kind| {
        let (type_, status, title) = (kind.type_(), kind.status(), kind.title());
        json!({"type": type_, "status": status, "title": title, "description": kind.meaning()})
    };
    Kind::ALL.iter().map(problem).collect()
}

fn operations(document: &mut OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|item| {
        let PathItem { get, post, patch, delete, .. } = item;
        [get, post, patch, delete].into_iter().flatten()
    })
}

fn with_request_id(operation: &mut Operation) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            let header = Ref::new(format!("#/components/headers/{REQUEST_ID}"));
            *response = ResponseBuilder::from(response.clone()).header_ref(REQUEST_ID, header).build();
        }
    }
}

/// This document
#[utoipa::path(get, path = "/v1/openapi.json", operation_id = "show_document", tag = "operation", responses(
    (status = 200, description = "OpenAPI 3.1", body = Object, content_type = "application/json",
        example = json!({"openapi": "3.1.0", "info": {"title": "spin-docker", "version": env!("CARGO_PKG_VERSION")}, "paths": {}})),
    problems::OfOperation,
))]
pub(crate) async fn show() -> ([(HeaderName, &'static str); 1], &'static str) {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| openapi().to_json().expect("the document is made of texts and numbers"));
    ([(header::CONTENT_TYPE, "application/json")], &TEXT)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it stands in the document, and what it says there.
    fn each_operation() -> Vec<(String, Operation)> {
        let mut document = openapi();
        let ids = |operation: &mut Operation| (operation.operation_id.clone().unwrap(), operation.clone());
        operations(&mut document).map(ids).collect()
    }

    #[test]
    fn every_operation_says_who_may_ask_and_has_a_tag_and_a_summary() {
        let operations = each_operation();
        let mut ids: Vec<_> = operations.iter().map(|(id, _)| id).collect();
        ids.dedup();
        assert_eq!(ids.len(), operations.len(), "ids are unique");
        for (id, operation) in &operations {
            let open = ["check_in", "is_alive", "is_ready"].contains(&id.as_str());
            assert_eq!(operation.security.as_ref().unwrap().is_empty(), open, "{id}");
            assert_eq!(operation.responses.responses.contains_key("401"), !open, "{id}");
            assert!(operation.summary.is_some() && operation.tags.as_ref().unwrap().len() == 1, "{id}");
        }
    }

    #[test]
    fn every_kind_of_problem_is_some_operations() {
        let text = openapi().to_json().unwrap();
        for kind in Kind::ALL {
            let anywhere = matches!(kind, Kind::NoSuchRoute | Kind::MethodNotAllowed);
            let example = format!("\"{}\":{{\"summary\"", kind.slug());
            assert_eq!(text.contains(&example), !anywhere, "{kind:?}");
        }
    }

    #[test]
    fn every_kind_of_problem_is_listed_once_in_the_document_and_on_the_page() {
        let document = serde_json::to_value(openapi()).unwrap();
        let (listed, page) = (&document["x-problems"], include_str!("../../../docs/problems.md"));
        assert_eq!(listed.as_array().unwrap().len(), Kind::ALL.len());
        assert_eq!(page.matches("| `urn:spin-docker:problem:").count(), Kind::ALL.len());
        for (kind, shown) in Kind::ALL.iter().zip(listed.as_array().unwrap()) {
            let (type_, status, title) =
                (format!("urn:spin-docker:problem:{}", kind.slug()), kind.status(), kind.title());
            let expected =
                json!({"type": type_, "status": status, "title": title, "description": kind.meaning()});
            assert_eq!(*shown, expected);
            assert!(page.contains(&format!("\n| `{type_}` | {status} | {title} |\n")), "{type_}");
        }
    }

    #[test]
    fn the_kept_copy_is_what_the_code_says() {
        let made = openapi().to_pretty_json().unwrap() + "\n";
        let kept = include_str!("../../../docs/openapi.json");
        assert!(made == kept, "docs/openapi.json is stale: run `spin-docker openapi > docs/openapi.json`");
    }
}
