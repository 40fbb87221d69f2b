//! `/healthz`, `/readyz` and `/metrics`, on a separate port. They show no secret.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ctc_tower::{Phase, SharedSession};
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::sync::watch;

use super::body::ResponseBody;
use super::call::Proxy;
use super::connections::{CallGuard, Connections};

/// The sources of what is reported.
#[derive(Clone, Debug)]
pub(super) struct Health {
    pub(super) session: SharedSession,
    pub(super) proxy: Arc<Proxy>,
    pub(super) connections: Arc<Connections>,
    pub(super) draining: watch::Receiver<bool>,
}

impl Health {
    pub(super) fn respond(
        &self,
        request: &Request<Incoming>,
        guard: CallGuard,
    ) -> Response<ResponseBody> {
        let text = |status, text: &str| (status, format!("{text}\n"));
        let (status, body) = match (request.method(), request.uri().path()) {
            (&Method::GET | &Method::HEAD, "/healthz") => text(StatusCode::OK, "ok"),
            (&Method::GET | &Method::HEAD, "/readyz") => match self.obstacle() {
                None => text(StatusCode::OK, "ready"),
                Some(why) => text(StatusCode::SERVICE_UNAVAILABLE, why),
            },
            (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, self.metrics()),
            (_, "/healthz" | "/readyz" | "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "GET"),
            _ => text(StatusCode::NOT_FOUND, "use /healthz, /readyz or /metrics"),
        };
        let mut response = Response::new(ResponseBody::whole(body, guard));
        *response.status_mut() = status;
        let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, plain);
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let get = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, get);
        }
        response
    }

    /// Returns why calls cannot succeed now.
    fn obstacle(&self) -> Option<&'static str> {
        if *self.draining.borrow() {
            return Some("draining");
        }
        match self.session.phase() {
            Phase::Rejected { .. } => Some("credentials rejected"),
            Phase::BackingOff { .. } => Some("backing off after a failed login"),
            Phase::Closed => Some("logged out"),
            _ => None,
        }
    }

    fn metrics(&self) -> String {
        let counts = self.session.counts();
        let connections = &self.connections.counts;
        let mut text = Metrics(String::new());
        text.counter(
            "ctc_calls_total",
            "Requests sent to CTC, replays included.",
            counts.calls,
        );
        text.counter(
            "ctc_unauthorized_total",
            "401 responses to calls.",
            counts.unauthorized,
        );
        text.counter(
            "ctc_replays_total",
            "Calls that were replayed.",
            counts.replays,
        );
        text.counter(
            "ctc_denied_total",
            "Calls that the session denied, without sending them.",
            counts.denied,
        );
        text.counter("ctc_logins_total", "Logins that were sent.", counts.logins);
        text.counter(
            "ctc_logins_failed_total",
            "Logins that failed.",
            counts.logins_failed,
        );
        text.counter(
            "ctc_adopted_total",
            "Tokens adopted from the store.",
            counts.adopted,
        );
        text.counter(
            "ctc_rotations_total",
            "Tokens replaced on an ordinary response.",
            counts.rotations,
        );
        text.counter(
            "ctc_store_failures_total",
            "Store operations that failed.",
            counts.store_failures,
        );
        text.counter(
            "ctc_orphans_total",
            "Tokens obtained after a close, and logged out.",
            counts.orphans,
        );

        text.head(
            "ctc_session_phase",
            "gauge",
            "1 for the current phase of the session, else 0.",
        );
        let now = phase_name(&self.session.phase());
        for phase in [
            "empty",
            "logging_in",
            "open",
            "backing_off",
            "rejected",
            "closed",
        ] {
            let is_now = u64::from(phase == now);
            text.labelled("ctc_session_phase", "phase", phase, is_now);
        }
        let name = "ctc_proxy_responses_total";
        text.head(name, "counter", "Responses of CTC, by status.");
        for (class, count) in self.proxy.statuses.iter().enumerate().take(6).skip(2) {
            text.labelled(name, "status", &format!("{class}xx"), count.load(Relaxed));
        }
        let name = "ctc_proxy_errors_total";
        text.head(name, "counter", "Responses of the proxy itself, by reason.");
        for (reason, count) in self.proxy.replies.all() {
            text.labelled(name, "reason", reason.name(), count);
        }
        text.gauge(
            "ctc_proxy_connections",
            "Open connections.",
            self.connections.open(),
        );
        text.gauge(
            "ctc_proxy_calls",
            "Calls in progress.",
            connections.calls.load(Relaxed),
        );
        for (name, help, count) in [
            (
                "ctc_proxy_accepted_total",
                "Connections accepted.",
                &connections.accepted,
            ),
            (
                "ctc_proxy_evicted_total",
                "Idle connections closed for others.",
                &connections.evicted,
            ),
            (
                "ctc_proxy_expired_total",
                "Connections closed because they were idle for too long.",
                &connections.expired,
            ),
        ] {
            text.counter(name, help, count.load(Relaxed));
        }
        text.0
    }
}

fn phase_name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Empty => "empty",
        Phase::LoggingIn => "logging_in",
        Phase::Open(_) => "open",
        Phase::BackingOff { .. } => "backing_off",
        Phase::Rejected { .. } => "rejected",
        Phase::Closed => "closed",
        _ => "unknown",
    }
}

/// Prometheus' text format. Writing to a `String` cannot fail.
struct Metrics(String);

impl Metrics {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "counter", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: usize) {
        self.head(name, "gauge", help);
        let _ = writeln!(self.0, "{name} {value}");
    }

    fn labelled(&mut self, name: &str, label: &str, value: &str, count: u64) {
        let _ = writeln!(self.0, "{name}{{{label}=\"{value}\"}} {count}");
    }
}
