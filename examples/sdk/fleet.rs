//! The asynchronous client.

use ctc_driver::AsyncCaller;
use futures_util::TryStreamExt;
use futures_util::stream::{self, Stream};
use http::{Request, Response};

use super::calls::{self, Call, Page};
use super::error::Error;
use super::model::{AvlEvent, Device, DeviceId, Item, Note};
use super::retry::pause;

/// The devices of one CTC account, over any asynchronous client `C`.
#[derive(Clone, Debug)]
pub struct Fleet<C> {
    ctc: C,
}

impl<C: AsyncCaller> Fleet<C> {
    /// Creates a fleet over a client, such as `ctc_reqwest::Client`.
    pub fn new(ctc: C) -> Self {
        Self { ctc }
    }

    /// Returns all devices, fetched page by page on demand.
    pub fn devices(&self) -> impl Stream<Item = Result<Device, Error>> + '_ {
        self.pages(calls::devices)
    }

    /// One device.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn device(&self, id: DeviceId) -> Result<Device, Error> {
        self.one(calls::device(id)).await
    }

    /// Returns all events of a device, oldest first, fetched page by page on demand.
    pub fn events(&self, id: DeviceId) -> impl Stream<Item = Result<AvlEvent, Error>> + '_ {
        self.pages(move |page| calls::events(id, page))
    }

    /// Adds a note to a device. It is a POST, so it is never replayed: see [`Error::Status`] for
    /// the 401 that this can cause.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn add_note(&self, id: DeviceId, text: &str) -> Result<Note, Error> {
        self.one(calls::add_note(id, text)).await
    }

    async fn one<I: Item>(&self, call: Call<I>) -> Result<I, Error> {
        let (reading, request) = call.into_parts();
        reading.one(&self.fetch(reading.action, request).await?)
    }

    async fn list<I: Item>(&self, call: Call<I>) -> Result<Vec<I>, Error> {
        let (reading, request) = call.into_parts();
        reading.items(&self.fetch(reading.action, request).await?)
    }

    /// Makes a call, and repeats it if CTC is busy. It uses the client's own timers, and so names
    /// no runtime.
    async fn fetch(
        &self,
        action: &'static str,
        request: Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, Error> {
        let mut times = 0;
        loop {
            times += 1;
            let response = self.ctc.fetch(request.clone()).await;
            let response = response.map_err(|error| Error::of_call(action, error))?;
            match pause(request.method(), times, &response) {
                Some(pause) => self.ctc.sleep(pause).await,
                None => return Ok(response),
            }
        }
    }

    fn pages<'a, I: Item + 'a>(
        &'a self,
        call: impl Fn(Page) -> Call<I> + 'a,
    ) -> impl Stream<Item = Result<I, Error>> + 'a {
        let pages = stream::try_unfold(Some(Page::FIRST), move |page| {
            let call = page.map(|page| (page, self.list(call(page))));
            async move {
                let Some((page, items)) = call else {
                    return Ok(None);
                };
                let items = items.await?;
                let next = page.next(items.len());
                Ok(Some((stream::iter(items.into_iter().map(Ok)), next)))
            }
        });
        pages.try_flatten()
    }
}
