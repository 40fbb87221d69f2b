//! The client as [`AsyncCaller`], for libraries that work with every client.

use std::time::Duration;

use async_trait::async_trait;
use ctc_driver::ctc_core::{StampError, Target};
use ctc_driver::{
    __adapter, AsyncCaller, AsyncStreamingCaller, AsyncTransport, BodyStream, CallError,
};
use http_body_util::BodyExt;

use crate::Client;
use crate::error::SendError;
use crate::transport::Outbound;

#[async_trait]
impl AsyncCaller for Client {
    type Error = SendError;

    async fn fetch(
        &self,
        mut request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, CallError<SendError>> {
        let options = __adapter::prepare(self.session(), &mut request);
        let options = options.as_ref().unwrap_or(self.options());
        let request = self.native(request)?;
        let mut outbound = Outbound::new(request);
        self.limit(&mut outbound);
        let driver = self.driver();
        let read = |response| driver.transport().read(response, options.max_body);
        __adapter::fetch(driver, outbound, options, read).await
    }

    async fn sleep(&self, duration: Duration) {
        self.driver().runtime().sleep(duration).await;
    }
}

#[async_trait]
impl AsyncStreamingCaller for Client {
    async fn stream(
        &self,
        mut request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<BodyStream>, CallError<SendError>> {
        let options = __adapter::prepare(self.session(), &mut request);
        let request = self.native(request)?;
        let mut outbound = Some(Outbound::new(request));
        let response = self.drive(&mut outbound, options.as_ref()).await?.0;
        // An error of the body would name the URL.
        let body = |body: reqwest::Body| BodyStream::new(body.map_err(reqwest::Error::without_url));
        Ok(http::Response::from(response).map(body))
    }
}

impl Client {
    fn native(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> Result<reqwest::Request, CallError<SendError>> {
        let endpoint = self.endpoint();
        // The driver compares origins, too, but reqwest accepts only full URLs.
        if !endpoint.is_origin_of(Target::from(request.uri())) {
            let endpoint = endpoint.origin().to_owned();
            return Err(StampError::ForeignOrigin { endpoint }.into());
        }
        let native = reqwest::Request::try_from(request);
        let mut request = native.map_err(|error| CallError::Transport(error.into()))?;
        if request
            .body()
            .and_then(reqwest::Body::as_bytes)
            .is_some_and(<[u8]>::is_empty)
        {
            *request.body_mut() = None;
        }
        Ok(request)
    }
}
