//! The client as [`AsyncCaller`], for libraries that work with every client.

use async_trait::async_trait;
use ctc_driver::{__adapter, AsyncCaller, CallError};

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
        let request = native(request).map_err(|error| CallError::Transport(error.into()))?;
        let mut outbound = Some(Outbound::new(request));
        let mut response = self.drive(&mut outbound, options.as_ref()).await?.0;
        let mut whole = http::Response::new(Vec::new());
        *whole.status_mut() = response.status();
        *whole.version_mut() = response.version();
        std::mem::swap(whole.headers_mut(), response.headers_mut());
        std::mem::swap(whole.extensions_mut(), response.extensions_mut());
        let body = response
            .bytes()
            .await
            .map_err(|error| CallError::Body(error.without_url().into()))?;
        *whole.body_mut() = body.into();
        Ok(whole)
    }
}

fn native(request: http::Request<Vec<u8>>) -> Result<reqwest::Request, reqwest::Error> {
    let mut request = reqwest::Request::try_from(request)?;
    if request
        .body()
        .and_then(reqwest::Body::as_bytes)
        .is_some_and(<[u8]>::is_empty)
    {
        *request.body_mut() = None;
    }
    Ok(request)
}
