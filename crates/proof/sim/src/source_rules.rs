//! The observer's rules about sources of credentials: who may ask them, how often, and what follows
//! from what they say.

use crate::count::Fault;
use crate::logins::Questions;
use crate::watch::Guarantee;
use crate::world::State;

impl State {
    pub(crate) fn source_is_asked(&mut self, process: usize) {
        let election = self.current.login.unwrap_or_default();
        self.note(|| format!("p{process}: login task {election} asks the source"));
        let watched = &mut self.watch.sessions[process];
        let (login, questions) = (&watched.login, &mut watched.questions);
        if questions.election != election {
            *questions = Questions {
                election,
                ..Questions::default()
            };
        }
        questions.count += 1;
        let refused = login.refused_in == Some(election);
        let wrong = if election == 0 {
            "somebody else than an elected login asks the source"
        } else if questions.count > 2 {
            "a login asks the source a third time"
        } else if questions.count == 2 && !refused {
            "a login asks the source again, and its credentials were not refused"
        } else if login.rejected.is_some() || login.no_credentials {
            "the source is asked although no login may be made"
        } else if login.leases.contains(&election) {
            "the source is asked while the store's lease is held"
        } else {
            if questions.count == 2 {
                self.tally.count(Fault::SourceAskedAgain);
            }
            return;
        };
        self.violated(Guarantee::Coalesced, || format!("p{process}: {wrong}"));
    }

    /// The session has these credentials from now on, unless its login is not wanted any more.
    pub(crate) fn source_answers(&mut self, process: usize, says: (&'static str, &'static str)) {
        self.note(|| format!("p{process}: the source says {says:?}"));
        let watched = &mut self.watch.sessions[process];
        let questions = &mut watched.questions;
        if questions.count == 2 && questions.said != Some(says) {
            self.tally.count(Fault::SourceHasOther);
        }
        (questions.said, questions.offered) = (Some(says), Some(says));
    }

    pub(crate) fn source_fails(&mut self, process: usize, for_good: bool) {
        self.note(|| format!("p{process}: the source says nothing (for good: {for_good})"));
        let watched = &mut self.watch.sessions[process];
        // After a refusal, the refusal counts.
        if watched.login.refusal.is_none() {
            watched.questions.is_of_no_use = for_good;
            watched.login.not_sent = !for_good;
        }
    }

    pub(crate) fn source_panics(&mut self, process: usize) {
        self.note(|| format!("p{process}: the source panics"));
        let login = &mut self.watch.sessions[process].login;
        (login.refusal, login.asked) = (None, 0);
    }

    /// The session took up what its source said.
    pub(crate) fn takes_offered(&mut self, process: usize) {
        let election = self.current.login;
        let watched = &mut self.watch.sessions[process];
        let (questions, credentials) = (&mut watched.questions, watched.credentials);
        if election == Some(questions.election)
            && let Some(offered) = questions.offered.take()
            && offered != credentials
        {
            self.note(|| format!("p{process}: has the credentials {offered:?}"));
            self.watch.new_credentials(process, offered);
        }
    }

    /// As [`takes_offered`](Self::takes_offered), by a session that had none before: it tells
    /// nobody, but it goes on with the login.
    pub(crate) fn takes_first_offered(&mut self, process: usize) {
        if self.watch.sessions[process].credentials.0.is_empty() {
            self.takes_offered(process);
        }
    }

    /// The credentials of a login whose session has a source.
    pub(crate) fn check_asked(&mut self, process: usize, sent: (&str, &str)) {
        let watched = &mut self.watch.sessions[process];
        let election = self.current.login.unwrap_or_default();
        let questions = &watched.questions;
        let is_answer = questions.election == election && questions.said == Some(sent);
        if self.watch.plan.processes[process].has_source && !is_answer {
            self.violated(Guarantee::Coalesced, || {
                format!("p{process}: a login goes out with what its source did not say")
            });
        }
        let login = &self.watch.sessions[process].login;
        if login.refused_in == Some(election) && login.sent_as == Some(sent) {
            self.violated(Guarantee::Stopped, || {
                format!("p{process}: a login that was refused is made again")
            });
        }
        let watched = &mut self.watch.sessions[process];
        let logins = &mut watched.login.sent_in;
        if logins.0 != election {
            *logins = (election, 0);
        }
        logins.1 += 1;
        let most = if self.watch.plan.processes[process].has_source {
            2
        } else {
            1
        };
        if logins.1 > most {
            self.violated(Guarantee::OneLogin, || {
                format!("p{process}: one election, more than {most} logins")
            });
        }
    }

    /// The session says that its credentials are refused: its source must have been asked again.
    pub(crate) fn check_rejected(&mut self, process: usize) {
        let election = self.current.login;
        let watched = &self.watch.sessions[process];
        let (login, questions) = (&watched.login, &watched.questions);
        if !self.watch.plan.processes[process].has_source || login.refused_in != election {
            return;
        }
        let wrong = if questions.count < 2 {
            "credentials are given up, and their source was not asked again"
        } else if questions.said != login.sent_as {
            "credentials are given up although their source has others by now"
        } else {
            return;
        };
        self.violated(Guarantee::Coalesced, || format!("p{process}: {wrong}"));
    }
}
