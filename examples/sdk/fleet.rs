//! The asynchronous client.

use ctc_driver::AsyncCaller;
use futures_util::stream::{self, Stream};

use super::calls::{self, Call, Page};
use super::error::Error;
use super::model::{AvlEvent, Device, DeviceId, Item, Note};
use super::paging::{Paging, Step};

/// The devices of one CTC account, over any asynchronous client `C`.
#[derive(Clone, Debug)]
pub struct Fleet<C> {
    ctc: C,
}

impl<C: AsyncCaller> Fleet<C> {
    /// A fleet over a client, such as `ctc_reqwest::Client`.
    pub fn new(ctc: C) -> Self {
        Self { ctc }
    }

    /// All devices, fetched page by page as they are asked for.
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

    /// All events of a device, oldest first, fetched page by page as they are asked for.
    pub fn events(&self, id: DeviceId) -> impl Stream<Item = Result<AvlEvent, Error>> + '_ {
        self.pages(move |page| calls::events(id, page))
    }

    /// Adds a note to a device. It is a POST, so it is never sent twice: see [`Error::Status`] for
    /// the 401 that this can lead to.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn add_note(&self, id: DeviceId, text: &str) -> Result<Note, Error> {
        self.one(calls::add_note(id, text)).await
    }

    async fn one<I: Item>(&self, call: Call<I>) -> Result<I, Error> {
        let (reading, request) = call.into_parts();
        let response = self.ctc.fetch(request).await;
        reading.one(&response.map_err(|error| Error::of_call(reading.action, error))?)
    }

    async fn list<I: Item>(&self, call: Call<I>) -> Result<Vec<I>, Error> {
        let (reading, request) = call.into_parts();
        let response = self.ctc.fetch(request).await;
        reading.items(&response.map_err(|error| Error::of_call(reading.action, error))?)
    }

    fn pages<'a, I: Item + 'a>(
        &'a self,
        call: impl Fn(Page) -> Call<I> + 'a,
    ) -> impl Stream<Item = Result<I, Error>> + 'a {
        stream::unfold((Paging::new(), call), async move |(mut paging, call)| {
            loop {
                match paging.step() {
                    Step::Item(item) => return Some((Ok(item), (paging, call))),
                    Step::End => return None,
                    Step::Fetch(page) => match self.list(call(page)).await {
                        Ok(items) => paging.add(page, items),
                        Err(error) => return Some((Err(error), (paging, call))),
                    },
                }
            }
        })
    }
}
