//! One call through the proxy.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use ctc_tower::Unauthorized;
use http::{Extensions, HeaderName, HeaderValue, Request, Response, StatusCode, request};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use tower::Service as _;

use super::body::{Progress, RequestBody, ResponseBody};
use super::connections::CallGuard;
use super::door::Door;
use super::reply::{Reason, Replies, Reply};
use super::stall::Stalled;
use super::upstream::Upstream;

/// Says why the session could not recover from a 401 that the server sent.
const UNAUTHORIZED: HeaderName = HeaderName::from_static("ctc-unauthorized");
/// A body up to this many bytes is read before the call is sent, so that it can be sent again.
const REPLAYABLE: u64 = 64 * 1024;

/// What all calls share.
#[derive(Debug)]
pub(super) struct Proxy {
    pub(super) door: Door,
    pub(super) upstream: Upstream,
    /// How long a call may move nothing.
    pub(super) timeout: Duration,
    pub(super) replies: Replies,
    /// Responses of the server, by the first digit of their status.
    pub(super) statuses: [AtomicU64; 10],
}

impl Proxy {
    pub(super) async fn call(
        &self,
        request: Request<Incoming>,
        guard: CallGuard,
    ) -> Response<ResponseBody> {
        let response = self.respond(request, &guard).await;
        let response = response.unwrap_or_else(|reply| {
            self.replies.count(reply.reason);
            reply.into_response()
        });
        response.map(|body| body.hold(guard))
    }

    async fn respond(
        &self,
        request: Request<Incoming>,
        guard: &CallGuard,
    ) -> Result<Response<ResponseBody>, Reply> {
        self.door.check(&request)?;
        if guard.is_too_many() {
            let why = "the proxy has as many calls as it may: make the call again later";
            let reply = Reply::new(Reason::TooManyCalls, why);
            return Err(reply.retry_after(Duration::from_secs(1)));
        }
        let (mut parts, incoming) = request.into_parts();
        self.door.strip_request(&mut parts.headers);
        // What hyper notes of its own connection is nothing for the next one.
        parts.extensions = Extensions::new();
        let progress = Progress::new();
        let body = self.body(&parts, incoming, &progress).await?;
        let call = self.upstream.clone().call(Request::from_parts(parts, body));
        // A little longer than a body may stand still, so that this is told as what it is.
        let limit = self.timeout + self.timeout / 10;
        let response = match progress.watch(limit, call).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(Reply::of(&error)),
            Err(stalled) => {
                let why = format!(
                    "{stalled}, and no response came: the server may have acted on the call, so \
                     make it again only if that does no harm"
                );
                return Err(Reply::new(Reason::ResponseTimeout, why));
            }
        };
        Ok(self.deliver(response))
    }

    /// A short body of a call that may be sent a second time is read first: the session can then
    /// recover from a 401. All others are streams.
    async fn body(
        &self,
        parts: &request::Parts,
        incoming: Incoming,
        progress: &std::sync::Arc<Progress>,
    ) -> Result<RequestBody, Reply> {
        if incoming.is_end_stream() {
            return Ok(RequestBody::Whole(None));
        }
        let stream = RequestBody::stream(incoming, self.timeout, progress);
        let length = stream.size_hint().exact();
        let is_short = length.is_some_and(|length| length <= REPLAYABLE);
        if !is_short || !parts.method.is_idempotent() {
            return Ok(stream);
        }
        match stream.collect().await {
            Ok(read) => Ok(RequestBody::from(read.to_bytes())),
            Err(error) => {
                let reason = match error.is::<Stalled>() {
                    true => Reason::BodyStalled,
                    false => Reason::BadBody,
                };
                Err(Reply::new(
                    reason,
                    format!("the request's body ended early: {error}"),
                ))
            }
        }
    }

    fn deliver(&self, response: Response<Incoming>) -> Response<ResponseBody> {
        let (mut parts, incoming) = response.into_parts();
        let class = usize::from(parts.status.as_u16() / 100);
        if let Some(count) = self.statuses.get(class) {
            count.fetch_add(1, Relaxed);
        }
        self.door.strip_response(&mut parts.headers);
        if parts.status == StatusCode::UNAUTHORIZED
            && let Some(why) = parts.extensions.get::<Unauthorized>()
            && let Ok(why) = HeaderValue::try_from(why.to_string())
        {
            parts.headers.insert(UNAUTHORIZED, why);
        }
        parts.extensions = Extensions::new();
        let mut response = Response::new(ResponseBody::stream(incoming, self.timeout));
        *response.status_mut() = parts.status;
        *response.headers_mut() = parts.headers;
        response
    }
}
