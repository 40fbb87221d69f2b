//! The control path `/_ctc/`, for people with no Rust.

use http::{Method, StatusCode};
use serde_json::json;

use super::{
    fault::Rule, received::Received, response::ServerResponse, state::Shared, tokens::Life,
};

pub(super) fn response(shared: &Shared, request: &Received) -> ServerResponse {
    let get = request.method == Method::GET;
    let post = request.method == Method::POST;
    let account = request.parameter("user");
    match request.path.trim_start_matches("/_ctc").trim_matches('/') {
        "" if get => ServerResponse::new(StatusCode::OK)
            .with("content-type", "text/plain")
            .body(super::CONTROL_HELP),
        "counts" if get => ServerResponse::json(StatusCode::OK, &shared.counts()),
        "journal" if get => ServerResponse::json(StatusCode::OK, &shared.journal()),
        "faults" if post => inject(shared, &request.body),
        "faults" if request.method == Method::DELETE => {
            shared.change(super::state::State::clear_rules);
            done()
        }
        "revoke" if post => end(shared, account.as_deref(), Life::Revoked),
        "expire" if post => end(shared, account.as_deref(), Life::Expired),
        "reset" if post => {
            shared.change(super::state::State::reset_journal);
            done()
        }
        "release" if post => {
            shared.release();
            done()
        }
        "" | "release" | "counts" | "journal" | "faults" | "revoke" | "expire" | "reset" => {
            ServerResponse::new(StatusCode::METHOD_NOT_ALLOWED)
        }
        _ => ServerResponse::new(StatusCode::NOT_FOUND),
    }
}

fn inject(shared: &Shared, body: &[u8]) -> ServerResponse {
    match serde_json::from_slice::<Rule>(body) {
        Ok(rule) => {
            let id = shared.change(|state| state.inject(rule));
            ServerResponse::json(StatusCode::CREATED, &json!({ "rule": id }))
        }
        Err(error) => ServerResponse::json(
            StatusCode::BAD_REQUEST,
            &json!({ "error": error.to_string() }),
        ),
    }
}

fn end(shared: &Shared, account: Option<&str>, life: Life) -> ServerResponse {
    let ended = shared.change(|state| state.tokens.end_all(account, life));
    ServerResponse::json(StatusCode::OK, &json!({ "ended": ended }))
}

fn done() -> ServerResponse {
    ServerResponse::new(StatusCode::NO_CONTENT)
}
