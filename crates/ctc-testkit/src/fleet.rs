//! A made-up fleet, in an envelope like the vendor's.
//!
//! Documented by the vendor: the parameters `pg` and `pgsize` (1 and 10 by default, 100 at most),
//! and that a paged collection comes with `totalCount` and `_links`. Seen in public clients:
//! `response.results[*].device` and `…avlEvent`, and field names like these. The rest is our
//! choice: the paths below `devices/{id}`, the places of `totalCount` and `_links`, and that paging
//! is always on.

use serde_json::{Value, json};

/// The id of the first device.
pub const FIRST_DEVICE: u64 = 1001;

/// A fleet. Every field is computed from the numbers of its device and event, so that each read
/// returns the same pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fleet {
    devices: u64,
    events: u64,
}

impl Fleet {
    pub(crate) fn new(devices: u64, events: u64) -> Self {
        Self { devices, events }
    }

    pub(crate) fn has(self, device: u64) -> bool {
        device >= FIRST_DEVICE && device - FIRST_DEVICE < self.devices
    }

    /// Returns a page of devices.
    pub(crate) fn devices(self, page: Page, base: &str) -> Value {
        page.envelope(self.devices, base, |at| Self::device(FIRST_DEVICE + at))
    }

    /// Returns the device with this id, if there is one.
    pub(crate) fn one(self, device: u64) -> Option<Value> {
        self.has(device)
            .then(|| json!({ "response": { "results": [Self::device(device)] } }))
    }

    /// Returns a page of a device's events, oldest first.
    pub(crate) fn events(self, device: u64, page: Page, base: &str) -> Option<Value> {
        self.has(device)
            .then(|| page.envelope(self.events, base, |at| Self::event(device, at)))
    }

    fn device(id: u64) -> Value {
        json!({ "device": {
            "id": id,
            "esn": format!("{}", 4_560_000_000 + id),
            "name": format!("Truck {}", id - FIRST_DEVICE + 1),
            "status": "Enabled",
            "href": format!("/connect/services/devices/{id}"),
        } })
    }

    fn event(device: u64, at: u64) -> Value {
        let (minute, hour, day) = (at % 60, at / 60 % 24, at / 1440 % 28 + 1);
        let along = (device * 31 + at) % 1000;
        json!({ "avlEvent": {
            "messageUuid": format!("00000000-0000-4000-8000-{device:04x}{at:08x}"),
            "deviceId": device,
            "deviceMessageSequenceNumber": at + 1,
            "eventCode": 10 + at % 5,
            "eventType": if at.is_multiple_of(50) { "Ignition On" } else { "Location" },
            "eventTime": format!("2025-01-{day:02}T{hour:02}:{minute:02}:00.000Z"),
            "address": {
                "addressLatitude": 33.5 + along as f64 / 10_000.0,
                "addressLongitude": -117.7 - along as f64 / 10_000.0,
            },
        } })
    }
}

/// The requested part of a collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    number: u64,
    size: u64,
}

impl Page {
    const DEFAULT_SIZE: u64 = 10;
    const MAX_SIZE: u64 = 100;

    /// Reads `pg` and `pgsize`; `None` if one is not a positive number.
    pub(crate) fn parse(number: Option<&str>, size: Option<&str>) -> Option<Self> {
        let positive = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0);
        let number = number.map_or(Some(1), positive)?;
        let size = size
            .map_or(Some(Self::DEFAULT_SIZE), positive)?
            .min(Self::MAX_SIZE);
        Some(Self { number, size })
    }

    fn envelope(self, total: u64, base: &str, item: impl Fn(u64) -> Value) -> Value {
        let first = (self.number - 1).saturating_mul(self.size).min(total);
        let last = first.saturating_add(self.size).min(total);
        let results: Vec<Value> = (first..last).map(item).collect();
        let link = |rel: &str, number: u64| {
            let href = format!("{base}?pg={number}&pgsize={}", self.size);
            json!({ "rel": rel, "href": href })
        };
        let mut links = Vec::new();
        if self.number > 1 {
            links.push(link("prev", self.number - 1));
        }
        if last < total {
            links.push(link("next", self.number + 1));
        }
        json!({ "response": { "results": results, "totalCount": total, "_links": links } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_cover_the_fleet_once() {
        let fleet = Fleet::new(25, 0);
        let mut seen = Vec::new();
        for number in 1..=4 {
            let page = Page { number, size: 10 };
            let response = fleet.devices(page, "/d");
            let results = response["response"]["results"]
                .as_array()
                .expect("results")
                .clone();
            seen.extend(
                results
                    .iter()
                    .filter_map(|result| result["device"]["id"].as_u64()),
            );
        }
        assert_eq!(seen, (1001..1026).collect::<Vec<_>>());
    }

    #[test]
    fn a_page_looks_as_the_manual_shows_it() {
        let manual = include_str!("manual/control.md");
        let (_, section) = manual.split_once("# The API").expect("the section");
        let mut blocks = section.split("```");
        let shown = blocks.nth(1).and_then(|block| block.strip_prefix("json"));
        let shown: Value = serde_json::from_str(shown.expect("a block")).expect("JSON");
        let page = Page { number: 1, size: 2 };
        let served = Fleet::new(25, 0).devices(page, "/connect/services/devices");
        assert_eq!(shown, served);
    }

    #[test]
    fn absurd_pages_are_empty_or_refused() {
        let page = Page::parse(Some("18446744073709551615"), Some("1000")).expect("a page");
        assert_eq!(page.size, 100);
        assert_eq!(
            Fleet::new(5, 0).devices(page, "/d")["response"]["results"],
            json!([])
        );
        assert_eq!(Page::parse(Some("0"), None), None);
        assert_eq!(Page::parse(None, Some("x")), None);
    }
}
