//! The observer's rules about sources of credentials: which logins ask them, how often, and what
//! follows from the result.

use crate::count::Fault;
use crate::logins::Questions;
use crate::watch::Guarantee;
use crate::world::State;

impl State {
    /// The questions of the login that is being polled.
    fn questions(&mut self, process: usize) -> &mut Questions {
        let election = self.current.login.unwrap_or_default();
        let questions = &mut self.watch.sessions[process].questions;
        questions.entry(election).or_default()
    }

    /// Whether no other caller was elected since.
    fn still_counts(&self, process: usize) -> bool {
        self.current.login == Some(self.watch.sessions[process].login.elections)
    }

    /// Whether this is its second question.
    pub(crate) fn asks_again(&mut self, process: usize) -> bool {
        self.questions(process).count == 2
    }

    pub(crate) fn source_is_asked(&mut self, process: usize) {
        let election = self.current.login.unwrap_or_default();
        self.note(|| format!("p{process}: login task {election} asks the source"));
        let counts = self.still_counts(process);
        let questions = self.questions(process);
        questions.count += 1;
        let (count, refused) = (questions.count, questions.refused);
        let login = &self.watch.sessions[process].login;
        let wrong = if election == 0 {
            "somebody else than an elected login asks the source"
        } else if count > 2 {
            "a login asks the source a third time"
        } else if count == 2 && !refused {
            "a login asks the source again, and its credentials were not refused"
        } else if counts && (login.rejected.is_some() || login.no_credentials) {
            "the source is asked although no login may be made"
        } else if login.leases.contains(&election) {
            "the source is asked while the store's lease is held"
        } else {
            if count == 2 {
                self.tally.count(Fault::SourceAskedAgain);
            }
            return;
        };
        self.violated(Guarantee::Coalesced, || format!("p{process}: {wrong}"));
    }

    /// The source returned credentials. The session uses them from now on, if its login is still
    /// wanted.
    pub(crate) fn source_answers(&mut self, process: usize, says: (&'static str, &'static str)) {
        self.note(|| format!("p{process}: the source says {says:?}"));
        let questions = self.questions(process);
        let is_other = questions.count == 2 && questions.said != Some(says);
        (questions.said, questions.offered) = (Some(says), Some(says));
        if is_other {
            self.tally.count(Fault::SourceHasOther);
        }
    }

    pub(crate) fn source_fails(&mut self, process: usize, for_good: bool) {
        self.note(|| format!("p{process}: the source says nothing (for good: {for_good})"));
        let counts = self.still_counts(process);
        // After a rejection, the rejection counts.
        if counts && self.watch.sessions[process].login.refusal.is_none() {
            self.questions(process).is_of_no_use = for_good;
            self.watch.sessions[process].login.not_sent = !for_good;
        }
    }

    pub(crate) fn source_panics(&mut self, process: usize) {
        self.note(|| format!("p{process}: the source panics"));
        if self.still_counts(process) {
            let login = &mut self.watch.sessions[process].login;
            (login.refusal, login.asked) = (None, 0);
        }
    }

    /// The session uses the credentials that its source returned.
    pub(crate) fn takes_offered(&mut self, process: usize) {
        let Some(election) = self.current.login else {
            return;
        };
        let credentials = self.watch.sessions[process].credentials;
        let offered = self.questions(process).offered.take();
        if let Some(offered) = offered.filter(|offered| *offered != credentials) {
            self.note(|| format!("p{process}: has the credentials {offered:?}"));
            self.watch.new_credentials(process, offered);
            // The rejection of the previous credentials need not be reported any more.
            let login = &mut self.watch.sessions[process].login;
            login.unreported.retain(|other| *other != election);
        }
    }

    /// As [`takes_offered`](Self::takes_offered), for a session that had no credentials before:
    /// there is no event, but the login proceeds.
    pub(crate) fn takes_first_offered(&mut self, process: usize) {
        if self.watch.sessions[process].credentials.0.is_empty() {
            self.takes_offered(process);
        }
    }

    /// Checks the credentials of a login that is sent: those that its source returned, if it has
    /// one.
    pub(crate) fn check_asked(&mut self, process: usize, sent: (&str, &str)) {
        let has_source = self.watch.plan.processes[process].source.is_some();
        let sent_before = self.watch.sessions[process].login.sent_as;
        let questions = self.questions(process);
        let is_same = questions.refused && sent_before == Some(sent);
        (questions.logins, questions.refused) = (questions.logins + 1, false);
        let (logins, is_answer) = (questions.logins, questions.said == Some(sent));
        if is_same {
            self.violated(Guarantee::Stopped, || {
                format!("p{process}: a login that was refused is made again")
            });
        }
        if has_source && !is_answer {
            self.violated(Guarantee::Coalesced, || {
                format!("p{process}: a login goes out with what its source did not say")
            });
        }
        let most = if has_source { 2 } else { 1 };
        if logins > most {
            self.violated(Guarantee::OneLogin, || {
                format!("p{process}: one election, more than {most} logins")
            });
        }
    }

    /// Checks, when a session reports a rejection, that its source was asked again.
    pub(crate) fn check_rejected(&mut self, process: usize) {
        let sent_as = self.watch.sessions[process].login.sent_as;
        let has_source = self.watch.plan.processes[process].source.is_some();
        let questions = self.questions(process);
        let wrong = if !has_source || !questions.refused {
            return;
        } else if questions.count < 2 {
            "credentials are given up, and their source was not asked again"
        } else if questions.said != sent_as {
            "credentials are given up although their source has others by now"
        } else {
            return;
        };
        self.violated(Guarantee::Coalesced, || format!("p{process}: {wrong}"));
    }
}
