//! Calls by way of a running `ctc proxy`, which adds key and token.

use std::time::Duration;

use ctc_ureq::http_client_builder;
use ctc_ureq::ureq::{self, Agent};
use http::{Request, Response, Uri};

use crate::client::USER_AGENT;
use crate::exit::{Exit, Failure, chain};

/// A running proxy.
pub(crate) struct Proxy {
    agent: Agent,
    base: String,
}

impl Proxy {
    /// The proxy at a URL: `http://127.0.0.1:PORT`.
    ///
    /// # Errors
    /// Returns [`Failure`] (usage) if it is not on this machine: calls go there in the clear.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let base = url.trim_end_matches('/').to_owned();
        let uri: Option<Uri> = base.parse().ok();
        let is_local = |uri: &Uri| {
            let host = uri.host().unwrap_or_default();
            uri.scheme_str() == Some("http") && ["127.0.0.1", "[::1]", "localhost"].contains(&host)
        };
        if !uri.is_some_and(|uri| is_local(&uri) && uri.path() == "/") {
            return Err(Failure::usage(format!(
                "{url} is no local proxy: write http://127.0.0.1:PORT"
            )));
        }
        let config = http_client_builder().user_agent(USER_AGENT).proxy(None);
        Ok(Self {
            agent: Agent::new_with_config(config.build()),
            base,
        })
    }

    /// Sees that somebody listens there.
    ///
    /// # Errors
    /// Returns [`Failure`] (unreachable) if nobody does.
    pub(crate) fn knock(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Sends a call.
    ///
    /// # Errors
    /// Returns [`Failure`] if there is no response.
    pub(crate) fn send(
        &self,
        request: Request<Option<Vec<u8>>>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, Failure> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        parts.uri = format!("{}{path}", self.base)
            .parse()
            .map_err(|error| Failure::usage(format!("{path}: {error}")))?;
        let sent = match body {
            Some(body) => self.run(Request::from_parts(parts, body), timeout),
            None => self.run(Request::from_parts(parts, ()), timeout),
        };
        sent.map_err(|error| {
            let why = chain(&error);
            Failure::new(Exit::Unreachable, format!("the proxy {}: {why}", self.base))
        })
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        request: Request<B>,
        timeout: Option<Duration>,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(timeout);
        self.agent.run(request.build())
    }

    /// What the proxy itself has against a call.
    pub(crate) fn failure(&self, _: &Response<ureq::Body>) -> Option<Failure> {
        None
    }
}
