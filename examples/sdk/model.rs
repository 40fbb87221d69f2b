//! CTC's responses, typed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The id of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(transparent)]
pub struct DeviceId(pub u64);

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// Its id.
    pub id: DeviceId,
    /// Its electronic serial number.
    pub esn: String,
    /// Its name.
    pub name: String,
    /// Its status, as CTC states it.
    pub status: String,
}

/// An event that a device reported.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct AvlEvent {
    /// The id of the event.
    pub message_uuid: String,
    /// The device that reported it.
    pub device_id: DeviceId,
    /// What happened.
    pub event_type: String,
    /// When it happened, in UTC.
    pub event_time: String,
    /// Where it happened.
    #[serde(rename = "address")]
    pub position: Position,
}

/// A position on Earth, in degrees.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Position {
    /// North is positive.
    #[serde(rename = "addressLatitude")]
    pub latitude: f64,
    /// East is positive.
    #[serde(rename = "addressLongitude")]
    pub longitude: f64,
}

/// A note on a device.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Note {
    /// Its number among the device's notes.
    pub id: u64,
    /// Its text.
    pub text: String,
}

/// The envelope of every response, and the wrapper of each item in it.
#[derive(Deserialize)]
pub(super) struct Envelope<W> {
    pub(super) response: Results<W>,
}

#[derive(Deserialize)]
pub(super) struct Results<W> {
    pub(super) results: Vec<W>,
}

/// An item that is wrapped in an object with one field.
pub(super) trait Item: Sized {
    type Wrapped: for<'de> Deserialize<'de>;

    fn unwrap(wrapped: Self::Wrapped) -> Self;
}

macro_rules! items {
    ($($item:ty, $wrapped:ident, $field:ident;)*) => {$(
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        pub(super) struct $wrapped {
            $field: $item,
        }

        impl Item for $item {
            type Wrapped = $wrapped;

            fn unwrap(wrapped: $wrapped) -> Self {
                wrapped.$field
            }
        }
    )*};
}
items! {
    Device, WrappedDevice, device;
    AvlEvent, WrappedEvent, avl_event;
    Note, WrappedNote, note;
}
