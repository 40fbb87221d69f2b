//! T67, T68: the process that logs in is killed, or stopped and overtaken.

use std::time::Duration;

use ctc_examples::workers::{Command, Job, Place, Worker, all, signal};
use ctc_testkit::{Fault, Matcher, Rule, When};

use crate::{Stage, WORKER_ARGS, on_both_stores};

on_both_stores! {
    /// T67.
    fn leader_killed_in_mid_login(stage: &mut Stage) {
        stage.server.inject(Rule::once(Matcher::Login, Fault::Hold { when: When::After }));
        let mut leader = stage.start();
        let mut others = stage.start_many(5);
        leader.tell(Command::Call(5)).unwrap();
        stage.wait_for_held_login();
        others.iter_mut().try_for_each(|worker| worker.tell(Command::Call(10))).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        leader.kill();
        for worker in &mut others {
            let report = worker.report().unwrap();
            assert_eq!(report.answered, 10, "{report:?}");
            assert!(report.took < stage.job().lease, "{report:?}");
        }
        assert_eq!(stage.logins(), 2, "the killed one's and one more");
    }

    /// T68.
    fn leader_stopped_overtaken_continued(stage: &mut Stage) {
        stage.server.inject(Rule::once(Matcher::Login, Fault::Hold { when: When::After }));
        let quick = Job {
            login_timeout: Duration::from_secs(1),
            lease: Duration::from_secs(4),
            ..stage.job()
        };
        let mut frozen = Worker::start(&quick, WORKER_ARGS).unwrap();
        frozen.tell(Command::Call(5)).unwrap();
        stage.wait_for_held_login();
        signal(frozen.pid(), "STOP").unwrap();

        // A wait is shorter than a lease, so the first attempt may end with "busy"; a later one
        // overtakes.
        let mut second = stage.start();
        let report = second.run(Command::Call(5)).unwrap();
        assert_eq!(report.answered, 5, "{report:?}");
        assert_eq!(stage.logins(), 2);
        let cookie = stage.last_cookie();

        // The response to the first login arrives now, with its own token.
        stage.server.release();
        signal(frozen.pid(), "CONT").unwrap();
        let report = frozen.report().unwrap();
        assert_eq!(report.answered, 5, "{report:?}");
        assert_eq!(frozen.run(Command::Call(5)).unwrap().answered, 5);

        // The store still has the second one's token.
        let report = stage.start().run(Command::Call(1)).unwrap();
        assert_eq!((report.answered, report.adopted), (1, 1), "{report:?}");
        assert_eq!(stage.last_cookie(), cookie, "the late write won");
        assert_eq!(stage.logins(), 2);
    }

    /// T68 by the generation alone: a process is overtaken long before its lease expires by its own
    /// clock (its heartbeats stopped, or the record was removed), and its login succeeds. It may
    /// use that token; the store keeps the newer one.
    fn overtaken_before_its_time(stage: &mut Stage) {
        stage.server.inject(Rule::once(Matcher::Login, Fault::Hold { when: When::After }));
        let patient = Job { login_timeout: Duration::from_secs(20), ..stage.job() };
        let mut frozen = Worker::start(&patient, WORKER_ARGS).unwrap();
        frozen.tell(Command::Call(5)).unwrap();
        stage.wait_for_held_login();
        signal(frozen.pid(), "STOP").unwrap();
        if let Place::File(folder) = &stage.place {
            std::fs::remove_dir_all(folder).unwrap();
        }
        assert_eq!(stage.start().run(Command::Call(5)).unwrap().answered, 5);
        let cookie = stage.last_cookie();
        stage.server.release();
        signal(frozen.pid(), "CONT").unwrap();
        let report = frozen.report().unwrap();
        assert_eq!((report.answered, report.adopted), (5, 0), "{report:?}");
        assert_ne!(stage.last_cookie(), cookie, "it has a token of its own");

        assert_eq!(stage.start().run(Command::Call(1)).unwrap().adopted, 1);
        assert_eq!(stage.last_cookie(), cookie, "the late write won");
        assert_eq!(stage.logins(), 2);
    }

    /// If all processes are killed at once, nothing remains that others would wait for.
    fn everybody_killed(stage: &mut Stage) {
        stage.server.inject(Rule::once(Matcher::Login, Fault::Hold { when: When::Before }));
        let mut workers = stage.start_many(4);
        workers.iter_mut().try_for_each(|worker| worker.tell(Command::Call(5))).unwrap();
        stage.wait_for_held_login();
        // Stop them first: otherwise a waiting one would log in when the first is killed.
        workers.iter().try_for_each(|worker| signal(worker.pid(), "STOP")).unwrap();
        workers.into_iter().for_each(Worker::kill);
        let sum = all(&mut stage.start_many(4), Command::Call(5)).unwrap();
        assert_eq!((sum.answered, sum.refused()), (20, 0), "{sum:?}");
        assert_eq!(stage.logins(), 2);
    }
}
