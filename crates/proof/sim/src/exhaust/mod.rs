//! Every order of events, to a stated depth: a breadth-first search over the real
//! [`ctc_core::Session`].
//!
//! A session cannot be cloned, so each path is replayed from the start. Two paths that lead to the
//! same state (all that `Debug` shows of a session, with times relative to now, and what the
//! callers know) count once.

mod known_end;
mod one_session;
mod parts;
mod shared_store;
mod source;
mod stage;

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use known_end::KnownEnd;
use one_session::OneSession;
use shared_store::SharedStore;
use source::Source;

/// A world small enough to be searched.
pub(crate) trait Small: Sized {
    type Event: Copy + Debug + Send + Sync;
    fn new() -> Self;
    /// All that may happen next.
    fn events(&self) -> Vec<Self::Event>;
    /// Applies an event. The error names the guarantee that it broke.
    fn apply(&mut self, event: Self::Event) -> Result<(), String>;
    /// Returns a text that differs for different states.
    fn state(&self) -> String;
}

/// The result of a search.
#[derive(Clone, Debug)]
pub struct Searched {
    /// The world's name.
    pub world: &'static str,
    /// Distinct states visited.
    pub states: usize,
    /// Transitions tried.
    pub transitions: u64,
    /// How many events deep every order was explored.
    pub depth: usize,
    /// The shortest path to a broken guarantee.
    pub violation: Option<String>,
}

/// Explores the small worlds to their own depths, or to `depth`. It calls `progress` after each
/// depth with the world, the depth and the number of states so far.
pub fn exhaust(
    depth: Option<usize>,
    mut progress: impl FnMut(&'static str, usize, usize),
) -> Vec<Searched> {
    let progress = &mut progress;
    vec![
        search::<OneSession>("3 callers, 1 session", depth.unwrap_or(8), progress),
        search::<SharedStore>("2 sessions, 1 store", depth.unwrap_or(11), progress),
        search::<KnownEnd>("2 callers, 1 known end", depth.unwrap_or(7), progress),
        search::<Source>("2 callers, 1 source", depth.unwrap_or(8), progress),
    ]
}

fn search<W: Small>(
    world: &'static str,
    depth: usize,
    progress: &mut impl FnMut(&'static str, usize, usize),
) -> Searched {
    let mut seen = HashSet::from([hash(&W::new().state())]);
    let mut frontier: Vec<Vec<W::Event>> = vec![Vec::new()];
    let mut searched = Searched {
        world,
        states: 1,
        transitions: 0,
        depth,
        violation: None,
    };
    for done in 1..=depth {
        let half = frontier.len().div_ceil(2);
        let (left, right) = frontier.split_at(half);
        let (left, right) = std::thread::scope(|scope| {
            let right = scope.spawn(|| expand::<W>(right));
            (expand::<W>(left), right.join().unwrap_or_default())
        });
        frontier = Vec::new();
        for (path, found) in left.into_iter().chain(right) {
            searched.transitions += 1;
            match found {
                Ok(state) if seen.insert(state) => frontier.push(path),
                Ok(_) => {}
                Err(broken) => {
                    searched.violation = Some(format!("{broken}\n  after {path:?}"));
                    searched.states = seen.len();
                    return searched;
                }
            }
        }
        progress(world, done, seen.len());
    }
    searched.states = seen.len();
    searched
}

type Step<E> = (Vec<E>, Result<u64, String>);

fn expand<W: Small>(paths: &[Vec<W::Event>]) -> Vec<Step<W::Event>> {
    let mut steps = Vec::new();
    for path in paths {
        for event in replay::<W>(path).events() {
            let mut world = replay::<W>(path);
            let result = world.apply(event).map(|()| hash(&world.state()));
            let mut path = path.clone();
            path.push(event);
            steps.push((path, result));
        }
    }
    steps
}

fn replay<W: Small>(path: &[W::Event]) -> W {
    let mut world = W::new();
    for event in path {
        // It held the first time, and nothing here depends on chance.
        let _ = world.apply(*event);
    }
    world
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Returns `Debug` of a session without counters (epoch, ticket numbers) and with times relative to
/// `now`.
fn canonical(session: &impl Debug, now: i64) -> String {
    let text = format!("{session:?}");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = ["tv_sec: ", "epoch: Epoch(", "ticket: "]
        .iter()
        .filter_map(|key| Some((rest.find(key)?, *key)))
        .min()
    {
        let (start, key) = (at.0 + at.1.len(), at.1);
        out.push_str(&rest[..start]);
        let digits = rest[start..]
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(0);
        if key == "tv_sec: " {
            let second = rest[start..start + digits]
                .parse::<i64>()
                .unwrap_or_default();
            out.push_str(&(second - now).to_string());
        }
        rest = &rest[start + digits..];
    }
    out.push_str(rest);
    out
}
