//! Group E with a store: T48, T49, T51, T52, T53.

use std::thread;
use std::time::{Duration, Instant};

use ctc_examples::workers::{Command, Place};
use ctc_store_file::FileStore;
use ctc_store_redis::RedisStore;
use ctc_testkit::{Fault, Matcher, Rule, When};
use ctc_ureq::{Client, ClientBuilder, Endpoint};

use crate::{Stage, on_both_stores};

const PATH: &str = "/connect/services/devices";

on_both_stores! {
    /// A logout removes the token from the store, so that no process adopts it.
    fn logout_clears_the_record(stage: &mut Stage) {
        let mut worker = stage.start();
        assert_eq!(worker.run(Command::Call(1)).unwrap().answered, 1);
        let ended = worker.run(Command::LogOut).unwrap();
        assert!(ended.others.keys().any(|how| how.starts_with("Accepted")), "{ended:?}");
        assert_eq!(stage.server.counts().live_tokens, 0);
        let report = stage.start().run(Command::Call(1)).unwrap();
        assert_eq!((report.answered, report.adopted, report.logins), (1, 0, 1), "{report:?}");
        // T51: after a logout, this process makes no login.
        assert_eq!(worker.run(Command::Call(5)).unwrap().answered, 0);
        assert_eq!(stage.logins(), 2);
    }

    /// … but only if it is still the token of that session.
    fn logout_leaves_a_newer_session(stage: &mut Stage) {
        let (mut old, mut new) = (stage.start(), stage.start());
        assert_eq!(old.run(Command::Call(1)).unwrap().answered, 1);
        stage.server.revoke_all();
        assert_eq!(new.run(Command::Call(1)).unwrap().answered, 1);
        old.run(Command::LogOut).unwrap();
        let report = stage.start().run(Command::Call(1)).unwrap();
        assert_eq!((report.answered, report.adopted), (1, 1), "{report:?}");
        assert_eq!(stage.logins(), 2);
    }

    /// T48: a token that the server rotated is saved, and a late copy of the old one does not
    /// replace it.
    fn rotated_tokens_are_shared(stage: &mut Stage) {
        let mut first = stage.start();
        assert_eq!(first.run(Command::Call(1)).unwrap().answered, 1);
        stage.server.rotate(false);
        assert_eq!(first.run(Command::Call(1)).unwrap().answered, 1);
        let report = stage.start().run(Command::Call(5)).unwrap();
        assert_eq!((report.answered, report.adopted), (5, 1), "{report:?}");
        assert_eq!(stage.logins(), 1);
    }

    /// T49: the login's response arrives after the logout. Its token is not used and not saved, and
    /// is logged out.
    fn login_answered_after_logout(stage: &mut Stage) {
        stage.server.inject(Rule::once(Matcher::Login, Fault::Hold { when: When::After }));
        let client = client(stage);
        let call = {
            let client = client.clone();
            thread::spawn(move || client.get(PATH).send().map(drop))
        };
        stage.wait_for_held_login();
        let logout = {
            let client = client.clone();
            thread::spawn(move || client.logout())
        };
        thread::sleep(Duration::from_millis(200));
        stage.server.release();
        logout.join().unwrap();
        assert!(call.join().unwrap().is_err(), "logged out meanwhile");
        stage.server.wait_until(|counts| counts.live_tokens == 0, Duration::from_secs(5)).unwrap();
        let report = stage.start().run(Command::Call(1)).unwrap();
        assert_eq!((report.adopted, report.logins), (0, 1), "{report:?}");
    }

    /// T52: the server does not receive the logout. The token is removed here and from the store
    /// all the same.
    fn logout_without_a_server(stage: &mut Stage) {
        let client = client(stage);
        client.login().unwrap();
        let cut = Fault::Cut { at: Default::default(), act: false };
        stage.server.inject(Rule::forever(Matcher::Logout, cut));
        assert!(matches!(client.logout(), ctc_ureq::LogoutOutcome::Unreachable(_)));
        let report = stage.start().run(Command::Call(1)).unwrap();
        assert_eq!((report.adopted, report.logins), (0, 1), "{report:?}");
    }

    /// T53: dropping a client does not wait and does not log out; the next process continues with
    /// the token.
    fn dropping_keeps_the_session(stage: &mut Stage) {
        let client = client(stage);
        client.login().unwrap();
        let began = Instant::now();
        drop(client);
        assert!(began.elapsed() < Duration::from_millis(100));
        let report = stage.start().run(Command::Call(1)).unwrap();
        assert_eq!((report.adopted, report.logins), (1, 0), "{report:?}");
        assert_eq!(stage.server.counts().logouts, 0);
    }
}

fn client(stage: &Stage) -> Client {
    let job = stage.job();
    let builder = ClientBuilder::default()
        .endpoint(Endpoint::danger_plain_http(&job.url).unwrap())
        .app_key(&job.app_key)
        .credentials(&job.username, &job.password)
        .login_timeout(job.login_timeout);
    match &stage.place {
        Place::File(folder) => builder.store(FileStore::at(folder)),
        Place::Redis(url, prefix) => builder.store(RedisStore::open(url).unwrap().prefix(prefix)),
    }
    .build()
    .unwrap()
}
