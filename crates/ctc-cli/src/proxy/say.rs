//! Messages to the operator: the proxy's URL, and what happens to the session.

use std::path::Path;

use ctc_driver::SessionEvent as Event;
use ctc_tower::SharedSession;
use serde_json::json;

use super::listen::Listener;
use super::token;
use crate::exit::Failure;
use crate::output::{Form, note};

/// Prints the proxy's URL on standard output, and the rest on standard error.
pub(super) fn where_it_is(
    form: Form,
    listener: &Listener,
    session: &SharedSession,
    health: Option<&str>,
) -> Result<(), Failure> {
    let url = listener.shown();
    note(&format!("ctc: proxy to {} on {url}", session.endpoint()));
    if let Some(health) = health {
        note(&format!("ctc: health on {health}"));
    }
    let endpoint = session.endpoint();
    let json = json!({ "url": url, "health": health, "endpoint": endpoint.origin() });
    form.print(&format!("{url}\n"), json)
}

/// Prints commands to try with the test server.
pub(super) fn what_to_type(listener: &Listener, token_file: Option<&Path>, server: &str) {
    let token = token_file.map(|path| {
        let path = path.display();
        format!(" -H \"{}: $(cat '{path}')\"", token::HEADER)
    });
    let token = token.unwrap_or_default();
    let through = match listener.shown().strip_prefix("unix:") {
        Some(path) => format!("curl{token} --unix-socket '{path}' http://localhost"),
        None => format!("curl{token} {}", listener.shown()),
    };
    note(&format!(
        "A CTC test server runs in this process. Make calls from another terminal:\n\
         \n    {through}/connect/services/devices\n\n\
         See how many logins that took, and revoke the session's token:\n\
         \n    curl {server}/_ctc/counts\n    curl -X POST {server}/_ctc/revoke\n"
    ));
}

/// Prints the session's events that an operator wants to see in the journal.
pub(super) fn events(session: &SharedSession) {
    session.set_observer(|_: &SharedSession, event: &Event<'_>| match event {
        Event::LoggedIn { .. } => note("ctc: logged in"),
        Event::Adopted { .. } => note("ctc: adopted the session in the store"),
        Event::LoginFailed { denial } => note(&format!("ctc: the login failed: {denial}")),
        Event::DeniedByStore { denial } => note(&format!("ctc: no login for now: {denial}")),
        Event::TokenInvalidated { status, .. } => {
            note(&format!(
                "ctc: the token is no longer valid (status {status})"
            ));
        }
        Event::StoreFailed {
            operation,
            error,
            first: true,
        } => note(&format!("ctc: the store failed ({operation}): {error}")),
        _ => {}
    });
}
