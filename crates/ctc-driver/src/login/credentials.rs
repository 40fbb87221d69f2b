//! The credentials of a login whose session has none: the source is asked.

use std::sync::Arc;

use ctc_core::{Credentials, FormBody, Instant, LoginTicket, Session};
use http::Request;

use super::attempt::Attempt;
use super::io::{Io, SendLogin};
use crate::events::SessionEvent;
use crate::ports::CredentialsError;

impl Attempt {
    /// Asks for the credentials and makes the request of them. If it returns `false`, no login is
    /// to be made.
    pub(super) async fn obtain_credentials(&mut self, io: &Io<dyn SendLogin>) -> bool {
        match self.ask_source(io).await {
            Ok(credentials) => {
                let is_wanted = io.is_in_use() && self.take(Session::login_with, &credentials);
                if !is_wanted {
                    self.cancel();
                }
                is_wanted
            }
            Err(error) => {
                let is_transient = matches!(error, CredentialsError::Unavailable(_));
                self.report_failure(Some(Arc::new(error)), |session, ticket, now| {
                    session.credentials_failed(ticket, is_transient, now)
                });
                false
            }
        }
    }

    /// Asks once more, after the server rejected what the source said. Returns whether there is
    /// another login to be sent; if not, the rejection is to be reported.
    pub(super) async fn ask_again(&mut self, io: &Io<dyn SendLogin>) -> bool {
        let Ok(credentials) = self.ask_source(io).await else {
            return false;
        };
        let is_another = self.take(Session::login_again, &credentials);
        self.is_sent = !is_another;
        is_another
    }

    async fn ask_source(
        &mut self,
        io: &Io<dyn SendLogin>,
    ) -> Result<Credentials, CredentialsError> {
        self.questions -= 1;
        let source = self.session.credentials_source();
        io.credentials(source.ok_or_else(|| CredentialsError::unusable(NoSource))?)
            .await
    }

    /// Makes the request of credentials, if `verb` has one for them.
    fn take(&mut self, verb: Verb, credentials: &Credentials) -> bool {
        let Some(ticket) = &self.ticket else {
            return false;
        };
        let (request, is_other) = self.session.with(|session, now| {
            let is_first = session.record_key().account.is_empty();
            let before = session.seal_seed();
            let request = verb(session, ticket, credentials, now);
            (request, !is_first && session.seal_seed() != before)
        });
        if is_other {
            self.session.tell(SessionEvent::CredentialsReplaced);
        }
        self.request = request;
        self.request.is_some()
    }
}

type Verb = fn(&mut Session, &LoginTicket, &Credentials, Instant) -> Option<Request<FormBody>>;

#[derive(Debug, thiserror::Error)]
#[error(
    "the session has neither credentials nor a source of them: call set_credentials or \
     set_credentials_source"
)]
struct NoSource;
