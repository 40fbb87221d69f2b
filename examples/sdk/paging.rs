//! Which page is next, and what of the last one is still to be handed out. No I/O: both clients
//! share it.

use std::collections::VecDeque;

use super::calls::Page;

/// The largest page that CTC gives.
const PAGE_SIZE: u32 = 100;

/// A walk through all pages of a collection.
pub(super) struct Paging<I> {
    fetched: VecDeque<I>,
    /// `None` after the last page, or after an error.
    next: Option<u32>,
}

/// What to do next.
pub(super) enum Step<I> {
    /// Hand this out.
    Item(I),
    /// Fetch this page and [`add`](Paging::add) it.
    Fetch(Page),
    /// That was all.
    End,
}

impl<I> Paging<I> {
    pub(super) fn new() -> Self {
        Self {
            fetched: VecDeque::new(),
            next: Some(1),
        }
    }

    /// A page that is asked for and never added ends the walk: so does an error, which is handed
    /// out once.
    pub(super) fn step(&mut self) -> Step<I> {
        match self.fetched.pop_front() {
            Some(item) => Step::Item(item),
            None => self.next.take().map_or(Step::End, |number| {
                Step::Fetch(Page {
                    number,
                    size: PAGE_SIZE,
                })
            }),
        }
    }

    /// A page that is not full is the last one.
    pub(super) fn add(&mut self, page: Page, items: Vec<I>) {
        let is_full = items.len() >= page.size as usize;
        self.next = is_full.then(|| page.number.saturating_add(1));
        self.fetched = items.into();
    }
}
