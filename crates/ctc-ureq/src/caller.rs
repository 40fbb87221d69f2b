//! The client as [`Caller`], for libraries that work with every client.

use std::io::Read;

use ctc_driver::{__adapter, CallError, Caller, StreamingCaller, Transport};
use http::{Request, Response};

use crate::error::SendError;
use crate::{Body, Client};

impl Caller for Client {
    type Error = SendError;

    fn fetch(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, CallError<SendError>> {
        let options = __adapter::prepare(self.session(), &mut request);
        let options = options.as_ref().unwrap_or(self.options());
        let response = self.drive(request.map(Body::from), Some(options))?;
        Ok(self.driver().transport().read(response, options.max_body)?)
    }
}

impl StreamingCaller for Client {
    fn stream(
        &self,
        mut request: Request<Vec<u8>>,
    ) -> Result<Response<Box<dyn Read + Send>>, CallError<SendError>> {
        let options = __adapter::prepare(self.session(), &mut request);
        let response = self.drive(request.map(Body::from), options.as_ref())?;
        Ok(response.map(|body| Box::new(body.into_reader()) as _))
    }
}
