//! The client as [`Caller`], for libraries that work with every client.

use ctc_driver::{__adapter, CallError, Caller};
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
        let (parts, body) = self.drive(request, options.as_ref())?.into_parts();
        let body = body.into_with_config().limit(u64::MAX).read_to_vec();
        let body = body.map_err(|error| CallError::Body(SendError::from(error).into()))?;
        Ok(Response::from_parts(parts, body))
    }
}
