//! `ctc store`: which account is which file or key.

use std::time::SystemTime;

use clap::{Args, Subcommand};
use ctc_driver::ctc_core::{RecordKey, SessionRecord};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output::Form;
use crate::record::{State, table};
use crate::session::SessionOptions;
use crate::store::Store;

/// Options of `ctc store`.
#[derive(Debug, Args)]
#[command(before_help = "\
Examples:
  ctc store list                  every session in the store, with its account
  ctc store show 3f2a             one session, by the beginning of its mark
  ctc store forget                remove this account's session, rejections and backoff")]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the sessions in the store
    List,
    /// Show one session: this account's, or the one whose mark begins with MARK
    Show {
        /// The beginning of an account's mark, as `ctc store list` prints it
        mark: Option<String>,
    },
    /// Remove one session from the store: the next call logs in, with a full login budget
    Forget {
        /// The beginning of an account's mark, as `ctc store list` prints it
        mark: Option<String>,
    },
}

/// A record, its place, and its owner if that is known here.
struct Found {
    place: String,
    record: SessionRecord,
    owner: Option<String>,
}

/// Lists, shows or removes records.
pub(crate) fn store(
    args: &StoreArgs,
    options: &SessionOptions,
    form: Form,
) -> Result<Exit, Failure> {
    let store = options.store()?;
    match &args.what {
        What::List => list(&store, options, form),
        What::Show { mark } => show(&find(&store, options, mark.as_deref())?, form),
        What::Forget { mark } => forget(&store, options, mark.as_deref(), form),
    }
}

fn list(store: &Store, options: &SessionOptions, form: Form) -> Result<Exit, Failure> {
    let now = SystemTime::now();
    let all = records(store, options)?;
    let mut text = String::new();
    for found in &all {
        let mut lines = vec![
            ("account", found.in_words()),
            ("store", found.place.clone()),
        ];
        lines.extend(State::new(Some(found.record.overview()), now).lines());
        text.push_str(&table(&lines));
        text.push('\n');
    }
    if all.is_empty() {
        text.push_str("the store has no session\n");
    }
    let json: Vec<_> = all.iter().map(|found| found.json(now)).collect();
    form.print(&text, json!({ "records": json }))?;
    Ok(Exit::Done)
}

fn show(found: &Found, form: Form) -> Result<Exit, Failure> {
    let now = SystemTime::now();
    let key = found.record.key();
    let mut lines = vec![
        ("account", found.in_words()),
        ("mark", key.account),
        ("store", found.place.clone()),
    ];
    lines.extend(State::new(Some(found.record.overview()), now).lines());
    form.print(&table(&lines), found.json(now))?;
    Ok(Exit::Done)
}

fn forget(
    store: &Store,
    options: &SessionOptions,
    mark: Option<&str>,
    form: Form,
) -> Result<Exit, Failure> {
    // Without a mark, remove this account's record, even one that cannot be read.
    let key = match mark {
        Some(_) => find(store, options, mark)?.record.key(),
        None => options.account()?.record_key()?,
    };
    let removed = store.forget(&key)?;
    let place = store.place(&key);
    let text = match removed {
        true => format!("removed {place}; the token stays valid on the server until it expires\n"),
        false => format!("there was nothing to remove in {place}\n"),
    };
    form.print(&text, json!({ "removed": removed, "place": place }))?;
    Ok(Exit::Done)
}

fn find(store: &Store, options: &SessionOptions, mark: Option<&str>) -> Result<Found, Failure> {
    let mut all = records(store, options)?;
    match mark {
        Some(mark) => all.retain(|found| found.record.key().account.starts_with(mark)),
        None => {
            let key = options.account()?.record_key()?;
            all.retain(|found| found.record.key() == key);
        }
    }
    let several = all.len() > 1;
    match all.pop() {
        Some(found) if !several => Ok(found),
        Some(_) => Err(Failure::usage(
            "several marks begin with this: give more characters",
        )),
        None => Err(Failure::new(
            Exit::LoggedOut,
            "the store has no such session",
        )),
    }
}

fn records(store: &Store, options: &SessionOptions) -> Result<Vec<Found>, Failure> {
    let owners = owners(options);
    let records = store.records()?.into_iter().map(|(place, record)| {
        let key = record.key();
        let owner = owners.iter().find(|(known, _)| *known == key);
        Found {
            place,
            record,
            owner: owner.map(|(_, name)| name.clone()),
        }
    });
    Ok(records.collect())
}

/// The accounts of the command line and of every profile whose username and application key are
/// known: the mark is computed from both.
fn owners(options: &SessionOptions) -> Vec<(RecordKey, String)> {
    let accounts = options.every_account().into_iter().filter_map(|account| {
        let name = super::status::in_words(&account).ok()?;
        Some((account.record_key().ok()?, name))
    });
    accounts.collect()
}

impl Found {
    fn in_words(&self) -> String {
        let key = self.record.key();
        self.owner.clone().unwrap_or_else(|| {
            let mark = key.account.get(..12).unwrap_or(&key.account);
            format!("{mark}… on {} (no profile of yours)", key.origin)
        })
    }

    fn json(&self, now: SystemTime) -> Value {
        let key = self.record.key();
        let mut members = State::new(Some(self.record.overview()), now).json();
        members.insert("origin".to_owned(), json!(key.origin));
        members.insert("mark".to_owned(), json!(key.account));
        members.insert("place".to_owned(), json!(self.place));
        members.insert("owner".to_owned(), json!(self.owner));
        Value::Object(members)
    }
}
