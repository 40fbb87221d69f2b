//! The simulated store: leases and fencing in virtual time, over an unreliable connection.

use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use ctc_core::__sealing::SealSeed;
use ctc_core::{AppKey, Credentials, Endpoint, RecordKey, Session, SessionRecord, Settings};
use ctc_driver::__adapter::records;
use ctc_driver::{AsyncSessionStore, AsyncStoreLease, LeaseTerms, StoreError, StoreSecret};

use crate::count::Fault;
use crate::forge;
use crate::kinds::{KINDS, Kind, Terms};
use crate::plan::{Ms, PASSWORDS, ms};
use crate::runtime::Thrown;
use crate::secrets;
use crate::server::{APP_KEY, USERS};
use crate::shelf::Entry;
use crate::watch::Guarantee;
use crate::wire::{ORIGIN, SimError};
use crate::world::{Sleep, World};

/// One process's client of a store.
pub(crate) struct SimStore {
    pub(crate) world: Arc<World>,
    pub(crate) process: usize,
    pub(crate) shelf: usize,
}

struct Lease {
    world: Arc<World>,
    process: usize,
    life: u64,
    shelf: usize,
    key: RecordKey,
    fence: u64,
    /// The election that took it, or 0.
    by: u64,
    /// The record's tokens, as last loaded or saved.
    shown: Vec<Entry>,
}

#[async_trait]
impl AsyncSessionStore for SimStore {
    async fn lease(
        &self,
        key: &RecordKey,
        terms: LeaseTerms,
    ) -> Result<Box<dyn AsyncStoreLease>, StoreError> {
        self.world.state().watch.asks_for_lease(self.process);
        travel(&self.world, self.process).await?;
        let mut waited = 0;
        loop {
            if let Some(lease) = self.take(key, ms(terms.ttl)) {
                return Ok(Box::new(lease));
            }
            if waited >= ms(terms.wait) {
                return Err(StoreError::Busy);
            }
            let pause = self.world.state().rng.between(100, 400);
            waited += pause;
            Sleep::new(&self.world, self.process, pause).await;
        }
    }

    fn secret(&self) -> Option<StoreSecret> {
        Some(secret())
    }
}

impl SimStore {
    fn take(&self, key: &RecordKey, ttl: Ms) -> Option<Lease> {
        let mut state = self.world.state();
        let kind = state.watch.plan.processes[self.process].kind;
        let places = state.shelves[self.shelf].places.values();
        let mut entries = places.flat_map(|place| &place.entries);
        if entries.any(|entry| entry.kind != kind) {
            state.tally.count(Fault::OtherLogin);
        }
        let now = state.now;
        let shelf = &mut state.shelves[self.shelf];
        let place = shelf.places.entry(key.clone()).or_default();
        if place.held_until.is_some_and(|until| until > now) {
            return None;
        }
        shelf.fences += 1;
        place.fence = shelf.fences;
        place.held_until = Some(now + ttl);
        let fence = place.fence;
        let by = state.current.login.unwrap_or_default();
        state.watch.leased(self.process, by, fence, now + ttl);
        state.note(|| format!("p{}: takes the store's lease {fence}", self.process));
        let life = state.processes[self.process].life;
        let world = Arc::clone(&self.world);
        Some(Lease {
            world,
            process: self.process,
            life,
            shelf: self.shelf,
            key: key.clone(),
            fence,
            by,
            shown: Vec::new(),
        })
    }
}

#[async_trait]
impl AsyncStoreLease for Lease {
    async fn load(&mut self) -> Result<Option<SessionRecord>, StoreError> {
        travel(&self.world, self.process).await?;
        let mut state = self.world.state();
        let place = state.shelves[self.shelf]
            .places
            .entry(self.key.clone())
            .or_default();
        let (mut record, mut entries) = (place.record.clone(), place.entries.clone());
        let forged = state.faults.store_forged;
        if record.is_some() && state.strikes(forged, Fault::StoreForged) {
            record = forge::forge(&mut state, self.shelf, record);
            entries = record.as_ref().map_or(Vec::new(), entries_of);
            state.note(|| format!("p{}: the record is forged: {entries:?}", self.process));
        }
        state.loaded(self.process, &entries);
        self.shown = entries;
        Ok(record)
    }

    async fn save(&mut self, record: &SessionRecord) -> Result<(), StoreError> {
        travel(&self.world, self.process).await?;
        let mut state = self.world.state();
        let leak = secrets::find(&format!("{record:?}"));
        if let Some(leak) = leak {
            state.violated(Guarantee::Secrets, || {
                format!("Debug of a record shows {leak}")
            });
        }
        let now = state.now;
        // Also after all faults have stopped: what was forged stays.
        let forged = state.watch.plan.faults.store_forged;
        if let Some(election) = state.current.login {
            let unsaved = &mut state.watch.sessions[self.process].login.unsaved;
            unsaved.retain(|other| *other != election);
        }
        let place = state.shelves[self.shelf]
            .places
            .entry(self.key.clone())
            .or_default();
        if place.fence != self.fence || place.held_until.is_none_or(|until| until <= now) {
            state.watch.lease_lost(self.process, self.fence);
            state.note(|| format!("p{}: save comes too late", self.process));
            return Err(StoreError::LeaseLost);
        }
        let entries = entries_of(record);
        let kept = place.record.as_ref();
        // A session that loaded a forged record cannot know what is really there.
        if forged == 0 && kept.is_some_and(|kept| kept.has_younger_token_than(record)) {
            state.violated(Guarantee::Generations, || {
                "a store that has a younger token than it is given keeps nothing of a save".into()
            });
            return Ok(());
        }
        place.entries.clone_from(&entries);
        let shown = std::mem::replace(&mut self.shown, entries.clone());
        place.record = Some(record.clone());
        state.note(|| format!("p{}: saves {entries:?}", self.process));
        state.saved(self.process, self.shelf, &shown, &entries);
        Ok(())
    }

    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        travel(&self.world, self.process).await
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let process = &state.processes[self.process];
        if process.dying || process.life != self.life {
            return; // a killed process releases nothing
        }
        let now = state.now;
        let place = state.shelves[self.shelf]
            .places
            .entry(self.key.clone())
            .or_default();
        if place.fence == self.fence {
            place.held_until = Some(now);
        }
        state.watch.released(self.process, self.by);
        state.note(|| format!("p{}: releases the store's lease", self.process));
    }
}

/// One request to the store: its delay, and whether it fails.
async fn travel(world: &Arc<World>, process: usize) -> Result<(), StoreError> {
    let (span, fails) = {
        let mut state = world.state();
        if state.panics() {
            // The login fails by this panic, whatever the server's response was.
            let login = &mut state.watch.sessions[process].login;
            (login.refusal, login.asked) = (None, 0);
            login.doubt();
            drop(state);
            resume_unwind(Box::new(Thrown));
        }
        let (error, slow) = (state.faults.store_error, state.faults.store_slow);
        let slow = state.strikes(slow, Fault::StoreSlow);
        let span = if slow {
            state.rng.between(500, 20_000)
        } else {
            state.rng.below(3)
        };
        (span, state.strikes(error, Fault::StoreError))
    };
    if span > 0 {
        Sleep::new(world, process, span).await;
    }
    if fails {
        world.state().watch.store_trouble(process);
        return Err(StoreError::Unavailable(Box::new(SimError::Lost)));
    }
    Ok(())
}

/// Returns the tokens in a record, each with the credentials that open it.
fn entries_of(record: &SessionRecord) -> Vec<Entry> {
    let opened = seeds().iter().filter_map(|(kind, user, password, seed)| {
        let (kind, user, password) = (*kind, *user, *password);
        let opened = records::open(record, seed, Some(&secret())).ok()?;
        let (token, facts, _) = opened.token_to_seal()?;
        let token = std::str::from_utf8(token).ok()?;
        Some(Entry {
            kind,
            user,
            password,
            generation: facts.generation,
            token: token.to_owned(),
        })
    });
    opened.collect()
}

/// Returns the key seeds of all credentials and logins of the world.
fn seeds() -> &'static [(Kind, &'static str, &'static str, SealSeed)] {
    static SEEDS: OnceLock<Vec<(Kind, &str, &str, SealSeed)>> = OnceLock::new();
    SEEDS.get_or_init(|| {
        let of_user = |kind, user| PASSWORDS.map(|password| (kind, user, password));
        let logins = KINDS
            .iter()
            .flat_map(|kind| USERS.map(|user| of_user(*kind, user)));
        let seeds = logins.flatten().filter_map(|(kind, user, password)| {
            let mut settings = Settings::default();
            settings.login = kind.login(&Terms::default())?;
            let endpoint = Endpoint::new(ORIGIN).ok()?;
            let (key, credentials) = (AppKey::new(APP_KEY), Credentials::new(user, password));
            let session = Session::new(endpoint, key.ok()?, credentials.ok()?, settings);
            Some((kind, user, password, session.ok()?.seal_seed()))
        });
        seeds.collect()
    })
}

fn secret() -> StoreSecret {
    StoreSecret::new([7; 32])
}
