//! The tokens of the accounts: which were issued, and their state.

use std::{collections::HashMap, time::SystemTime};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Live,
    Expired,
    Revoked,
}

/// Which login issued a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The cookie login's.
    Cookie,
    /// The token endpoint's: it is accepted only as a bearer token.
    Access,
}

#[derive(Clone, Debug)]
pub(super) struct Token {
    pub(super) account: String,
    kind: Kind,
    life: Life,
    expires: SystemTime,
    /// The client has it: it received the response with it, or a call presented it.
    held: bool,
    /// The client received a 401 or a clearing cookie for it.
    given_up: bool,
}

#[derive(Debug, Default)]
pub(super) struct Tokens {
    /// By the cookie's value as it was issued, quotes included.
    by_value: HashMap<String, Token>,
}

impl Tokens {
    /// Records that a token was issued. Whether the client receives it is not known yet.
    pub(super) fn issue(&mut self, value: &str, account: &str, expires: SystemTime, kind: Kind) {
        let token = Token {
            account: account.to_owned(),
            kind,
            life: Life::Live,
            expires,
            held: false,
            given_up: false,
        };
        self.by_value.insert(value.to_owned(), token);
    }

    /// Records that a request presents a token. Returns `false` if no such token was ever issued.
    pub(super) fn present(&mut self, value: &str, kind: Kind) -> bool {
        let token = self
            .by_value
            .get_mut(value)
            .filter(|token| token.kind == kind);
        token.map(|token| token.held = true).is_some()
    }

    pub(super) fn kind(&self, value: &str) -> Option<Kind> {
        self.by_value.get(value).map(|token| token.kind)
    }

    pub(super) fn account(&self, value: &str) -> Option<&str> {
        self.by_value.get(value).map(|token| token.account.as_str())
    }

    pub(super) fn is_live(&mut self, value: &str, now: SystemTime) -> bool {
        self.by_value.get_mut(value).is_some_and(|token| {
            token.age(now);
            token.life == Life::Live
        })
    }

    pub(super) fn end(&mut self, value: &str, life: Life) {
        if let Some(token) = self.by_value.get_mut(value) {
            token.end(life);
        }
    }

    /// Ends every token, or every token of one account. Returns how many were valid.
    pub(super) fn end_all(&mut self, account: Option<&str>, life: Life) -> usize {
        let mut ended = 0;
        for token in self.by_value.values_mut() {
            if token.life == Life::Live && account.is_none_or(|account| account == token.account) {
                token.end(life);
                ended += 1;
            }
        }
        ended
    }

    pub(super) fn tell_given_up(&mut self, value: &str) {
        if let Some(token) = self.by_value.get_mut(value) {
            token.given_up = true;
        }
    }

    /// Reports that the response with this token is being sent.
    pub(super) fn delivered(&mut self, value: &str) {
        if let Some(token) = self.by_value.get_mut(value) {
            token.held = true;
        }
    }

    /// Returns whether an account has a token in use, so that a login now is needless.
    pub(super) fn in_use(&mut self, account: &str, now: SystemTime) -> bool {
        self.by_value
            .values_mut()
            .filter(|token| token.account == account)
            .any(|token| {
                token.age(now);
                token.life == Life::Live && token.held && !token.given_up
            })
    }

    pub(super) fn live(&mut self, now: SystemTime) -> u64 {
        self.by_value.values_mut().for_each(|token| token.age(now));
        self.by_value
            .values()
            .filter(|token| token.life == Life::Live)
            .count() as u64
    }
}

impl Token {
    fn age(&mut self, now: SystemTime) {
        if self.life == Life::Live && now >= self.expires {
            self.life = Life::Expired;
        }
    }

    fn end(&mut self, life: Life) {
        if self.life == Life::Live {
            self.life = life;
        }
    }
}
