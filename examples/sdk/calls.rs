//! Each call, as a request and as the reading of its response. No I/O: both clients share it.

use std::marker::PhantomData;

use ctc_driver::ctc_core::Unauthorized;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Method, Request, Response};

use super::error::Error;
use super::model::{AvlEvent, Device, DeviceId, Envelope, Item, Note};

const DEVICES: &str = "/connect/services/devices";

/// One call: what to send, and the type of the items in its response.
pub(super) struct Call<I> {
    /// What it does, for errors that begin with "cannot …".
    action: &'static str,
    method: Method,
    path: String,
    body: Vec<u8>,
    items: PhantomData<I>,
}

pub(super) fn device(id: DeviceId) -> Call<Device> {
    Call::get("read the device", format!("{DEVICES}/{id}"))
}

pub(super) fn devices(page: Page) -> Call<Device> {
    Call::get("list the devices", format!("{DEVICES}{page}"))
}

pub(super) fn events(id: DeviceId, page: Page) -> Call<AvlEvent> {
    Call::get(
        "read the device's events",
        format!("{DEVICES}/{id}/avlevents{page}"),
    )
}

pub(super) fn add_note(id: DeviceId, text: &str) -> Call<Note> {
    let body = text.as_bytes().to_vec();
    let path = format!("{DEVICES}/{id}/notes");
    Call {
        action: "add the note",
        method: Method::POST,
        path,
        body,
        items: PhantomData,
    }
}

/// Which page of a collection.
#[derive(Clone, Copy)]
pub(super) struct Page(u32);

impl Page {
    pub(super) const FIRST: Self = Self(1);
    /// The largest page that CTC returns.
    const SIZE: usize = 100;

    /// Returns the page after this one. A page that is not full is the last one.
    pub(super) fn next(self, items: usize) -> Option<Self> {
        (items >= Self::SIZE).then(|| Self(self.0.saturating_add(1)))
    }
}

impl std::fmt::Display for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "?pg={}&pgsize={}", self.0, Self::SIZE)
    }
}

impl<I: Item> Call<I> {
    fn get(action: &'static str, path: String) -> Self {
        Self {
            action,
            method: Method::GET,
            path,
            body: Vec::new(),
            items: PhantomData,
        }
    }

    /// Returns the action, and the request: just the path, because the session knows the endpoint.
    pub(super) fn into_parts(self) -> (Reading<I>, Request<Vec<u8>>) {
        let mut request = Request::builder().method(self.method).uri(self.path);
        request = request.header(ACCEPT, "application/json;charset=UTF-8");
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "text/plain;charset=UTF-8");
        }
        let request = request
            .body(self.body)
            .expect("our paths hold digits and plain letters only");
        (
            Reading {
                action: self.action,
                items: PhantomData,
            },
            request,
        )
    }
}

/// How the response to a call is read.
pub(super) struct Reading<I> {
    pub(super) action: &'static str,
    items: PhantomData<I>,
}

impl<I: Item> Reading<I> {
    pub(super) fn items(&self, response: &Response<Vec<u8>>) -> Result<Vec<I>, Error> {
        let (action, status) = (self.action, response.status());
        if !status.is_success() {
            let source = response.extensions().get::<Unauthorized>().cloned();
            return Err(Error::Status {
                action,
                status,
                source,
            });
        }
        let envelope: Envelope<I::Wrapped> = serde_json::from_slice(response.body())
            .map_err(|source| Error::ServerResponse { action, source })?;
        Ok(envelope
            .response
            .results
            .into_iter()
            .map(I::unwrap)
            .collect())
    }

    pub(super) fn one(&self, response: &Response<Vec<u8>>) -> Result<I, Error> {
        let first = self.items(response)?.into_iter().next();
        first.ok_or_else(|| {
            let source = serde::de::Error::custom("no result in it");
            Error::ServerResponse {
                action: self.action,
                source,
            }
        })
    }
}
