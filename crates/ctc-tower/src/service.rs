//! What a service must be for a session to send its requests through it.

use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Service};

/// A service of HTTP requests with bodies of type `B` that a session can use. Do not implement it:
/// it stands for these bounds, and every service that meets them has it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an HTTP service that a session can use",
    note = "it must be a `Service<Request<{B}>>` that returns a `Response`, can be cloned, and can \
            be sent to other threads together with its futures and the bodies of its responses"
)]
pub trait HttpService<B>:
    Service<
        Request<B>,
        Response = Response<<Self as HttpService<B>>::ResponseBody>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The type of its responses' bodies.
    type ResponseBody: Body<Data: Send> + Send + 'static;
}

impl<S, B, R> HttpService<B> for S
where
    S: Service<Request<B>, Response = Response<R>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    R: Body<Data: Send> + Send + 'static,
{
    type ResponseBody = R;
}
