//! The routes as an OpenAPI document, `GET /v1/openapi.json`: what each takes and answers. It holds
//! no secret, so it is answered to everybody, as whether the server lives is.
//!
//! [`TOLD`] has a line for every route; the shapes of bodies are derived where those are declared.
//! The tests hold every answer that they get against this document.

use crate::problem::KINDS;
use crate::reach::{Over, ROUTES};
use crate::words::words;
use crate::{audit, cache, config, details, events, grants, groups, looks, recent, tenants};
use axum::http::header;
use axum::response::IntoResponse;
use std::sync::OnceLock;
use utoipa::ToSchema;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, Paths,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    ArrayBuilder, ComponentsBuilder, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Required, Response, ResponseBuilder,
};

type Schemas = Vec<(String, RefOr<Schema>)>;
/// Adds a schema and those it names, and answers a reference to it.
type Shape = fn(&mut Schemas) -> RefOr<Schema>;

const JSON: &str = "application/json";
const TOML: &str = "application/toml";
const PROBLEM_JSON: &str = "application/problem+json";
const BEARER: &str = "bearer";

fn one<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    T::schemas(schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    Ref::from_schema_name(T::name()).into()
}

fn list<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    Schema::Array(ArrayBuilder::new().items(one::<T>(schemas)).build()).into()
}

/// What a route answers where all goes well.
#[derive(Clone, Copy)]
enum Answer {
    /// JSON of a shape.
    Json(u16, Shape),
    /// Nothing but the status.
    Empty(u16),
    /// Text of another type.
    Text(&'static str),
}

/// What there is to tell of a route.
struct Told {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    /// Type and shape of the body.
    takes: Option<(&'static str, Shape)>,
    answers: Answer,
    /// Statuses of negative answers beside those that all routes behind the door have.
    refuses: &'static [u16],
}

/// Statuses that every route behind the door may refuse with: of the token, of how often it calls,
/// of what it sends.
const REFUSED_BY_ALL: [u16; 6] = [400, 401, 403, 408, 413, 429];

const fn told(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [&'static str],
    takes: Option<(&'static str, Shape)>,
    answers: Answer,
    refuses: &'static [u16],
) -> Told {
    Told { method, path, summary, query, takes, answers, refuses }
}

/// Begins an entry of a row.
macro_rules! rows {
    ($($method:ident $path:literal $([$($query:literal)*])? $(toml $shape:ident)?
        $(takes $takes:ty)?,
        $answers:expr, $summary:literal $(, $($refuses:literal)*)?;)*) => {
        [$(told(
            stringify!($method),
            $path,
            $summary,
            &[$($($query),*)?],
            rows!(@takes $($shape)?; $($takes)?),
            $answers,
            &[$($($refuses),*)?],
        )),*]
    };
    (@takes ;) => { None };
    (@takes $shape:ident;) => { Some((TOML, $shape as Shape)) };
    (@takes ; $takes:ty) => { Some((JSON, one::<$takes> as Shape)) };
}

const fn json<T: ToSchema>() -> Answer {
    Answer::Json(200, one::<T>)
}

const fn lists<T: ToSchema>() -> Answer {
    Answer::Json(200, list::<T>)
}

const fn makes<T: ToSchema>() -> Answer {
    Answer::Json(201, one::<T>)
}

/// Every route.
static TOLD: [Told; 46] = rows! {
    GET "/v1/tenants", lists::<tenants::TenantBody>(), "All tenants that the token reaches";
    POST "/v1/tenants" takes tenants::Wish, makes::<tenants::TenantBody>(),
        "Registers a tenant", 404 409 415 500 503 507;
    GET "/v1/tenants/{tenant}", json::<tenants::TenantBody>(), "A tenant, by id or name", 404;
    PATCH "/v1/tenants/{tenant}" takes tenants::Wish, json::<tenants::TenantBody>(),
        "Changes what is named of a tenant", 404 409 415 500 503 507;
    DELETE "/v1/tenants/{tenant}" ["mode"], Answer::Empty(204),
        "Removes a tenant", 404 409 500 503 507;
    POST "/v1/tenants/{tenant}/freeze", json::<tenants::TenantBody>(),
        "Nothing more for a tenant", 404 503;
    POST "/v1/tenants/{tenant}/thaw", json::<tenants::TenantBody>(),
        "Ends a freeze or a drain", 404 503;
    POST "/v1/tenants/{tenant}/drain", json::<tenants::TenantBody>(),
        "Freezes a tenant and asks back what may go", 404 503;
    GET "/v1/groups", lists::<groups::GroupBody>(), "All groups";
    POST "/v1/groups" takes groups::NewGroup, makes::<groups::GroupBody>(),
        "Registers a group", 404 409 415 500 503 507;
    GET "/v1/groups/{group}", json::<groups::GroupBody>(), "A group, by name", 404;
    PATCH "/v1/groups/{group}" takes groups::Changes, json::<groups::GroupBody>(),
        "Changes what is named of a group", 404 409 415 500 503 507;
    DELETE "/v1/groups/{group}" ["mode"], Answer::Empty(204),
        "Removes a group that has nothing below it, or all of it by force", 404 409 500 503 507;
    POST "/v1/requests" takes grants::Ask, makes::<grants::GrantBody>(),
        "Asks for memory, at once or with a wait", 404 409 410 415 503 507;
    GET "/v1/grants" ["tenant" "after"], lists::<grants::GrantBody>(), "A page of grants", 404;
    GET "/v1/grants/{id}", json::<grants::GrantBody>(), "A grant", 404 409 410;
    DELETE "/v1/grants/{id}" ["epoch"], Answer::Empty(204), "All of a grant back", 404 410 412 503;
    POST "/v1/grants/{id}/renew" takes grants::Epoch, json::<grants::LeaseBody>(),
        "The holder lives", 404 409 410 412 415;
    POST "/v1/grants/{id}/takeover", json::<grants::GrantBody>(),
        "Another process goes on with the grant", 404 409 410;
    POST "/v1/grants/{id}/grow" takes grants::Resize, json::<grants::GrantBody>(),
        "More bytes", 404 409 410 412 415 503 507;
    POST "/v1/grants/{id}/shrink" takes grants::Resize, json::<grants::GrantBody>(),
        "Fewer bytes", 404 409 410 412 415 503;
    POST "/v1/grants/{id}/touch" takes grants::Epoch, Answer::Empty(204),
        "Used again: goes later", 404 409 410 412 415;
    GET "/v1/config", json::<config::ConfigBody>(), "Every value in force, and who has set it";
    PUT "/v1/config" toml plain, json::<config::AppliedBody>(),
        "A configuration in place of the file's", 409 500 503 507;
    GET "/metrics", Answer::Text("application/openmetrics-text"), "Metrics for Prometheus";
    POST "/v1/explain" takes grants::Ask, json::<looks::ExplanationBody>(),
        "What would decide a request; changes nothing", 404 415;
    POST "/v1/balance", json::<looks::BalanceBody>(), "A step of the balancer now", 503;
    GET "/v1/usage", json::<looks::PoolBody>(), "The pool";
    GET "/v1/snapshot", json::<looks::SnapshotBody>(), "The pool, groups and tenants";
    GET "/v1/events" ["tenant" "kind"], Answer::Text("text/event-stream"),
        "What happens, as it happens: EventBody, AlertBody and LostBody", 404 503;
    GET "/v1/watch", Answer::Text("text/event-stream"),
        "What the dashboard shows: a snapshot, and what changes since", 503;
    GET "/v1/denials" ["tenant"], lists::<recent::DenialBody>(), "The last refusals", 404;
    GET "/v1/evictions" ["tenant"], lists::<recent::EvictedBody>(),
        "What had to go in the last minute", 404;
    GET "/v1/tenants/{tenant}/details", json::<details::DetailsBody<'static>>(),
        "A tenant over time, by type and model, and what happened to it", 404;
    GET "/v1/tenants/{tenant}/history.svg" ["span"], Answer::Text("image/svg+xml"),
        "What a tenant used over time, as a picture", 404 500;
    GET "/v1/history.svg" ["span"], Answer::Text("image/svg+xml"),
        "What was in use over time, as a picture", 500;
    GET "/v1/audit" ["after" "tenant" "kind" "limit"], json::<audit::PageBody>(),
        "Records of the audit log", 404 500;
    GET "/v1/audit/status", json::<audit::LogBody>(), "How far the audit log has come", 404;
    POST "/v1/audit/checkpoint", json::<audit::HeadBody>(), "Signs what has happened", 404 500 503;
    GET "/api/cache/memory", json::<cache::MemoryBody>(), "Figures of the memory of caches";
    POST "/api/cache/memory/evict", json::<cache::EvictionBody>(), "Some of the caches back", 503;
    POST "/api/cache/memory/reset", json::<cache::MemoryBody>(), "Peak and counts from now on";
    GET "/api/cache/status", json::<cache::CachesBody>(), "Figures of each cache";
    GET "/healthz", Answer::Text("text/plain"), "Lives";
    GET "/readyz", Answer::Text("text/plain"), "Takes requests";
    GET "/v1/openapi.json", Answer::Json(200, object), "This document";
};

fn method(name: &str) -> HttpMethod {
    match name {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "PUT" => HttpMethod::Put,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn text() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).build().into()
}

/// An object of which the shape is told elsewhere.
fn object(_: &mut Schemas) -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(SchemaType::Type(Type::Object)).build().into()
}

fn plain(_: &mut Schemas) -> RefOr<Schema> {
    text()
}

fn parameter(name: &str, place: ParameterIn) -> Parameter {
    let required = match place {
        ParameterIn::Path => Required::True,
        // The epoch alone is no choice.
        _ if name == "epoch" => Required::True,
        _ => Required::False,
    };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .schema(Some(shape_of(name)))
        .build()
}

/// What a parameter may be, by its name.
fn shape_of(name: &str) -> RefOr<Schema> {
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    match name {
        "epoch" | "after" => number.minimum(Some(0)).build().into(),
        "limit" => number.minimum(Some(1)).maximum(Some(audit::PAGE_MAX)).build().into(),
        "mode" => words(["idle", "force"]),
        "span" => words(["minute", "hour"]),
        _ => text(),
    }
}

impl Told {
    fn operation(&self, schemas: &mut Schemas) -> Operation {
        let names = self.path.split(['{', '}']).skip(1).step_by(2);
        let of_path = names.map(|name| parameter(name, ParameterIn::Path));
        let of_query = self.query.iter().map(|name| parameter(name, ParameterIn::Query));
        let parameters: Vec<Parameter> = of_path.chain(of_query).collect();
        let takes = self.takes.map(|(kind, shape)| {
            let content = Content::new(Some(shape(schemas)));
            RequestBodyBuilder::new().content(kind, content).required(Some(Required::True)).build()
        });
        let (status, response) = self.answer(schemas);
        let mut operation = OperationBuilder::new()
            .summary(Some(self.summary))
            .parameters(Some(parameters))
            .request_body(takes)
            .response(status.to_string(), response);
        let route =
            ROUTES.iter().find(|route| (route.method, route.path) == (self.method, self.path));
        if let Some(route) = route {
            let right = route.right.name();
            let needs = match route.over {
                Over::All => format!("Needs the scope `{right}`."),
                Over::Tenant => format!("Needs the scope `tenant:NAME:{right}` or `{right}`."),
            };
            let scheme = SecurityRequirement::new(BEARER, [right]);
            operation = operation.description(Some(needs)).security(scheme);
            for status in REFUSED_BY_ALL.iter().chain(self.refuses) {
                let problem = Ref::from_response_name("Problem");
                operation = operation.response(status.to_string(), problem);
            }
        }
        operation.build()
    }

    fn answer(&self, schemas: &mut Schemas) -> (u16, Response) {
        let response = ResponseBuilder::new();
        match self.answers {
            Answer::Json(status, shape) => {
                let content = Content::new(Some(shape(schemas)));
                (status, response.description("done").content(JSON, content).build())
            }
            Answer::Empty(status) => (status, response.description("done").build()),
            Answer::Text(kind) => {
                let content = Content::new(Some(text()));
                (200, response.description("done").content(kind, content).build())
            }
        }
    }
}

/// A negative answer; some kinds have figures of their own beside these.
fn problem() -> (Response, RefOr<Schema>) {
    let word = |word: &str| word.to_string();
    let kinds = KINDS.iter().map(|kind| format!("urn:allotment:problem:{kind}"));
    let kind = ObjectBuilder::new()
        .schema_type(SchemaType::Type(Type::String))
        .enum_values(Some(kinds.collect::<Vec<_>>()));
    let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
    let mut schema = ObjectBuilder::new().property("type", kind).required("type");
    for name in ["title", "detail"] {
        schema = schema.property(name, text()).required(name);
    }
    let schema = schema.property("status", number).required("status").build();
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let response = ResponseBuilder::new()
        .description(word("a problem document (RFC 9457)"))
        .content(PROBLEM_JSON, content)
        .build();
    (response, schema.into())
}

fn document() -> OpenApi {
    let mut schemas = Schemas::new();
    let mut paths = Paths::new();
    for told in &TOLD {
        let operation = told.operation(&mut schemas);
        paths.add_path_operation(told.path, vec![method(told.method)], operation);
    }
    one::<events::EventBody<'static>>(&mut schemas);
    one::<events::AlertBody<'static>>(&mut schemas);
    one::<events::LostBody>(&mut schemas);
    one::<audit::RecordBody<'static>>(&mut schemas);
    let (response, schema) = problem();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .schema("Problem", schema)
        .response("Problem", response)
        .security_scheme(BEARER, SecurityScheme::Http(bearer))
        .build();
    let info = InfoBuilder::new()
        .title("Allotment")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("One memory governor for several programs"))
        .build();
    OpenApiBuilder::new().info(info).paths(paths).components(Some(components)).build()
}

/// `GET /v1/openapi.json`.
pub async fn show() -> impl IntoResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| document().to_json().expect("a document is JSON"));
    ([(header::CONTENT_TYPE, JSON)], text.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_route_is_told_once() {
        let told: Vec<_> = TOLD.iter().map(|told| (told.method, told.path)).collect();
        let set: BTreeSet<_> = told.iter().copied().collect();
        assert_eq!(set.len(), told.len());
        let outside = ["/healthz", "/readyz", "/v1/openapi.json"].map(|path| ("GET", path));
        let routes = ROUTES.iter().map(|route| (route.method, route.path)).chain(outside);
        assert_eq!(set, routes.collect());
    }
}
