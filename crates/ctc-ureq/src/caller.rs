//! The client as [`Caller`], for libraries that work with every client.

use ctc_driver::{__adapter, CallError, Caller, Transport};
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
        let request = request.map(|body| {
            if body.is_empty() {
                Body::empty()
            } else {
                body.into()
            }
        });
        let options = options.as_ref().unwrap_or(self.options());
        let response = self.drive(request, Some(options))?;
        Ok(self.driver().transport().read(response, options.max_body)?)
    }
}
