//! The API's responses to calls with a valid token: the fleet, and routes that only tests need.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::{
    received::Received,
    response::{Payload, ServerResponse},
    settings::Settings,
    state::State,
};
use crate::fleet::Page;

const DEVICES: &str = "/connect/services/devices";

pub(super) fn call(state: &mut State, settings: &Settings, request: &Received) -> ServerResponse {
    if let Some(rest) = request.path.strip_prefix("/connect/test/") {
        return test_route(rest, request);
    }
    match request.path.strip_prefix(DEVICES) {
        Some("") => match (&request.method, page(request)) {
            (&Method::GET, Some(page)) => ok(settings.fleet.devices(page, DEVICES)),
            (&Method::GET, None) => ServerResponse::new(StatusCode::BAD_REQUEST),
            _ => ServerResponse::new(StatusCode::METHOD_NOT_ALLOWED),
        },
        Some(rest) if rest.starts_with('/') => device_route(state, settings, request, &rest[1..]),
        _ => ServerResponse::new(StatusCode::NOT_FOUND),
    }
}

fn device_route(
    state: &mut State,
    settings: &Settings,
    request: &Received,
    rest: &str,
) -> ServerResponse {
    let (id, tail) = rest.split_once('/').unwrap_or((rest, ""));
    let Some(id) = id.parse::<u64>().ok().filter(|id| settings.fleet.has(*id)) else {
        return ServerResponse::new(StatusCode::NOT_FOUND);
    };
    match (&request.method, tail) {
        (&Method::GET, "") => settings
            .fleet
            .one(id)
            .map_or_else(|| ServerResponse::new(StatusCode::NOT_FOUND), ok),
        (&Method::GET, "avlevents") => match page(request) {
            Some(page) => settings
                .fleet
                .events(id, page, &request.path)
                .map_or_else(|| ServerResponse::new(StatusCode::NOT_FOUND), ok),
            None => ServerResponse::new(StatusCode::BAD_REQUEST),
        },
        (&Method::GET, "notes") => {
            let notes = state.notes.get(&id).map(Vec::as_slice).unwrap_or_default();
            let results: Vec<Value> = notes
                .iter()
                .map(|text| json!({ "note": { "text": text } }))
                .collect();
            ok(json!({ "response": { "results": results, "totalCount": results.len() } }))
        }
        (&Method::POST, "notes") => {
            let text = String::from_utf8_lossy(&request.body).into_owned();
            let notes = state.notes.entry(id).or_default();
            notes.push(text.clone());
            let note = json!({ "note": { "id": notes.len(), "text": text } });
            state.counts.writes += 1;
            ServerResponse::json(
                StatusCode::CREATED,
                &json!({ "response": { "results": [note] } }),
            )
        }
        (_, "" | "avlevents" | "notes") => ServerResponse::new(StatusCode::METHOD_NOT_ALLOWED),
        _ => ServerResponse::new(StatusCode::NOT_FOUND),
    }
}

fn test_route(rest: &str, request: &Received) -> ServerResponse {
    match rest.split_once('/').unwrap_or((rest, "")) {
        ("echo", _) => echo(request),
        ("forbidden", _) => ServerResponse::new(StatusCode::FORBIDDEN),
        ("bytes", count) => match count.parse() {
            Ok(count) => {
                let mut response = ServerResponse::new(StatusCode::OK)
                    .with("content-type", "application/octet-stream");
                response.body = Payload::Pattern(count);
                response
            }
            Err(_) => ServerResponse::new(StatusCode::BAD_REQUEST),
        },
        ("status", code) => match code.parse() {
            Ok(code @ 200..=599) => ServerResponse::status(code),
            _ => ServerResponse::new(StatusCode::BAD_REQUEST),
        },
        _ => ServerResponse::new(StatusCode::NOT_FOUND),
    }
}

fn echo(request: &Received) -> ServerResponse {
    let mut headers = Map::new();
    for (name, value) in request.header_list() {
        let values = headers.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(values) = values {
            values.push(value.into());
        }
    }
    ok(json!({
        "method": request.method.as_str(),
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "bodyLength": request.body_len,
        "fnv1a64": format!("{:016x}", request.checksum),
    }))
}

fn page(request: &Received) -> Option<Page> {
    Page::parse(
        request.parameter("pg").as_deref(),
        request.parameter("pgsize").as_deref(),
    )
}

fn ok(value: impl Into<Value>) -> ServerResponse {
    ServerResponse::json(StatusCode::OK, &value.into())
}
