//! One call through the proxy.

use std::convert::Infallible;
use std::fmt::Display;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ctc_tower::Unauthorized;
use http::{Extensions, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use super::body::{Progress, RequestBody, ResponseBody, watch};
use super::connections::CallGuard;
use super::door::Door;
use super::reply::{Reason, Replies, Reply};
use super::stall::Stalled;
use super::upstream::Upstream;

/// The header that says why the session could not recover from a 401 of the server.
const UNAUTHORIZED: HeaderName = HeaderName::from_static("ctc-unauthorized");
/// Bodies of up to this many bytes are read before the call is sent, so that it can be replayed.
const REPLAYABLE: u64 = 64 * 1024;

/// The state that all calls share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) door: Door,
    pub(super) upstream: Upstream,
    /// How long a call may make no progress.
    pub(super) timeout: Duration,
    pub(super) replies: Replies,
    /// Responses of the server, by the first digit of their status.
    pub(super) statuses: [AtomicU64; 10],
}

impl Proxy {
    pub(super) async fn call(
        self: Arc<Self>,
        request: Request<Incoming>,
        mut guard: CallGuard,
    ) -> Result<Response<ResponseBody>, Infallible> {
        Ok(match self.respond(request, &mut guard).await {
            Ok(response) => {
                response.map(|incoming| ResponseBody::stream(incoming, self.timeout, guard))
            }
            Err(reply) => {
                self.replies.count(reply.reason);
                reply.into_response(guard)
            }
        })
    }

    async fn respond(
        &self,
        mut request: Request<Incoming>,
        guard: &mut CallGuard,
    ) -> Result<Response<Incoming>, Reply> {
        self.door.admit(&mut request)?;
        if guard.is_too_many() {
            let why = "the proxy has as many calls as --max-connections allows: call again later";
            let reply = Reply::new(Reason::TooManyCalls, why);
            return Err(reply.retry_after(Duration::from_secs(1)));
        }
        let (mut parts, incoming) = request.into_parts();
        // hyper stores facts about one connection here: do not pass them to the other.
        parts.extensions = Extensions::new();
        let mut progress = None;
        let body = match incoming.is_end_stream() {
            true => RequestBody::Whole(None),
            // Boxed, so that calls without a body need no space for it.
            false => Box::pin(self.body(&parts.method, incoming, &mut progress)).await?,
        };
        let call = pin!(self.upstream.execute(Request::from_parts(parts, body)));
        let progress = progress.as_deref();
        match watch(self.timeout, progress, &mut guard.stall, call).await {
            Ok(Ok(mut response)) => {
                self.prepare(&mut response);
                Ok(response)
            }
            Ok(Err(error)) => Err(Reply::of(&error)),
            // The body has a timer with the same limit, and either of the two may fire first.
            Err(stalled) if progress.is_some_and(Progress::is_awaited) => {
                Err(broken_body(Reason::BodyStalled, &stalled))
            }
            Err(stalled) => {
                let why = format!(
                    "{stalled}, and no response came: the server may have acted on the call, so \
                     repeat it only if that is safe"
                );
                Err(Reply::new(Reason::ResponseTimeout, why))
            }
        }
    }

    /// Reads a short body first if the call may be replayed, so that the session can recover from a
    /// 401. All other bodies are streamed.
    async fn body(
        &self,
        method: &Method,
        incoming: Incoming,
        progress: &mut Option<Arc<Progress>>,
    ) -> Result<RequestBody, Reply> {
        let moved = Arc::clone(progress.insert(Progress::new()));
        let stream = RequestBody::stream(incoming, self.timeout, moved);
        let length = stream.size_hint().exact();
        let is_short = length.is_some_and(|length| length <= REPLAYABLE);
        if !is_short || !method.is_idempotent() {
            return Ok(stream);
        }
        match stream.collect().await {
            Ok(read) => Ok(RequestBody::from(read.to_bytes())),
            Err(error) => {
                let reason = match error.is::<Stalled>() {
                    true => Reason::BodyStalled,
                    false => Reason::BadBody,
                };
                Err(broken_body(reason, &error))
            }
        }
    }

    /// Turns the server's response into the one for the caller.
    fn prepare(&self, response: &mut Response<Incoming>) {
        let status = response.status();
        if let Some(count) = self.statuses.get(usize::from(status.as_u16() / 100)) {
            count.fetch_add(1, Relaxed);
        }
        self.door.strip_response(response.headers_mut());
        // hyper stores facts about one connection here: do not pass them to the other.
        let extensions = std::mem::take(response.extensions_mut());
        if status == StatusCode::UNAUTHORIZED
            && let Some(why) = extensions.get::<Unauthorized>()
            && let Ok(why) = HeaderValue::try_from(why.to_string())
        {
            response.headers_mut().insert(UNAUTHORIZED, why);
        }
        *response.version_mut() = Version::default();
    }
}

fn broken_body(reason: Reason, error: &impl Display) -> Reply {
    Reply::new(reason, format!("the request's body ended early: {error}"))
}
