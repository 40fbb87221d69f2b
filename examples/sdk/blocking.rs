//! The blocking client.

use std::thread;

use ctc_driver::Caller;
use http::{Request, Response};

use super::calls::{self, Call, Page};
use super::error::Error;
use super::model::{AvlEvent, Device, DeviceId, Item, Note};
use super::retry::pause;

/// The devices of one CTC account, over any blocking client `C`.
#[derive(Clone, Debug)]
pub struct Fleet<C> {
    ctc: C,
}

impl<C: Caller> Fleet<C> {
    /// Creates a fleet over a client, such as `ctc_ureq::Client`.
    pub fn new(ctc: C) -> Self {
        Self { ctc }
    }

    /// Returns all devices, fetched page by page on demand.
    pub fn devices(&self) -> impl Iterator<Item = Result<Device, Error>> + '_ {
        self.pages(calls::devices)
    }

    /// One device.
    ///
    /// # Errors
    /// [`Error`].
    pub fn device(&self, id: DeviceId) -> Result<Device, Error> {
        self.one(calls::device(id))
    }

    /// Returns all events of a device, oldest first, fetched page by page on demand.
    pub fn events(&self, id: DeviceId) -> impl Iterator<Item = Result<AvlEvent, Error>> + '_ {
        self.pages(move |page| calls::events(id, page))
    }

    /// Adds a note to a device. It is a POST, so it is never replayed: see [`Error::Status`] for
    /// the 401 that this can cause.
    ///
    /// # Errors
    /// [`Error`].
    pub fn add_note(&self, id: DeviceId, text: &str) -> Result<Note, Error> {
        self.one(calls::add_note(id, text))
    }

    fn one<I: Item>(&self, call: Call<I>) -> Result<I, Error> {
        let (reading, request) = call.into_parts();
        reading.one(&self.fetch(reading.action, &request)?)
    }

    fn list<I: Item>(&self, call: Call<I>) -> Result<Vec<I>, Error> {
        let (reading, request) = call.into_parts();
        reading.items(&self.fetch(reading.action, &request)?)
    }

    /// Makes a call, and repeats it if CTC is busy.
    fn fetch(
        &self,
        action: &'static str,
        request: &Request<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, Error> {
        let mut times = 0;
        loop {
            times += 1;
            let response = self.ctc.fetch(request.clone());
            let response = response.map_err(|error| Error::of_call(action, error))?;
            match pause(request.method(), times, &response) {
                Some(pause) => thread::sleep(pause),
                None => return Ok(response),
            }
        }
    }

    fn pages<'a, I: Item + 'a>(
        &'a self,
        call: impl Fn(Page) -> Call<I> + 'a,
    ) -> impl Iterator<Item = Result<I, Error>> + 'a {
        let mut next = Some(Page::FIRST);
        let pages = std::iter::from_fn(move || {
            let page = next.take()?;
            let items = self.list(call(page));
            next = items.as_ref().ok().and_then(|items| page.next(items.len()));
            Some(items)
        });
        pages.flat_map(|items| match items {
            Ok(items) => items.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })
    }
}
