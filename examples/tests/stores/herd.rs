//! T32, T65, T66, T75: many processes, at once or one after another, and one session.

use std::fs;

use ctc_examples::workers::{Command, Job, Place, Worker, all};
use ctc_testkit::{Fault, Matcher, Rule, When};

use crate::{Stage, WORKER_ARGS, on_both_stores};

const PROCESSES: usize = 8;
const CALLERS: usize = 25;

on_both_stores! {
    /// T65.
    fn one_login_for_many_processes(stage: &mut Stage) {
        stage.server.inject(Rule::forever(Matcher::Login, Fault::Delay(300)));
        let mut workers = stage.start_many(PROCESSES);
        for logins in 1..=3 {
            let sum = all(&mut workers, Command::Call(CALLERS)).unwrap();
            assert_eq!((sum.answered, sum.refused()), (PROCESSES * CALLERS, 0), "{sum:?}");
            assert_eq!(stage.logins(), logins);
            if logins == 2 { stage.server.expire_all() } else { stage.server.revoke_all() };
        }
        stage.all_fair();
    }

    /// T24 across processes: a rejection is shared like a token.
    fn refused_credentials_are_refused_once(stage: &mut Stage) {
        stage.server.inject(Rule::forever(Matcher::Login, Fault::Delay(300)));
        let wrong = Job { password: "not-the-password!".into(), ..stage.job() };
        let mut workers = Worker::start_all(&vec![wrong; PROCESSES], WORKER_ARGS).unwrap();
        for _ in 0..2 {
            let sum = all(&mut workers, Command::Call(CALLERS)).unwrap();
            assert_eq!((sum.refused(), sum.others.len()), (PROCESSES * CALLERS, 1), "{sum:?}");
        }
        assert_eq!(stage.logins(), 1);
        // Other credentials are not affected.
        assert_eq!(stage.start().run(Command::Call(1)).unwrap().answered, 1);
        assert_eq!(stage.logins(), 2);
    }

    /// T32.
    fn fifty_runs_of_a_program(stage: &mut Stage) {
        for run in 0..51 {
            assert_eq!(stage.start().run(Command::Call(1)).unwrap().answered, 1, "run {run}");
            if run == 0 {
                stage.server.reset_journal();
            }
        }
        assert_eq!(stage.logins(), 0, "with a good session in the store");
    }

    /// A crash loop: a program that is started again and again with a wrong password.
    fn fifty_runs_with_a_wrong_password(stage: &mut Stage) {
        let wrong = Job { password: "not-the-password!".into(), ..stage.job() };
        for run in 0..50 {
            let mut worker = Worker::start(&wrong, WORKER_ARGS).unwrap();
            let report = worker.run(Command::Call(1)).unwrap();
            assert_eq!(report.answered, 0, "run {run}");
        }
        assert_eq!(stage.logins(), 1);
        // A reset allows logins again.
        let mut worker = Worker::start(&wrong, WORKER_ARGS).unwrap();
        worker.run(Command::Reset).unwrap();
        worker.run(Command::Call(1)).unwrap();
        assert_eq!(stage.logins(), 2);
    }

    /// T66, and the part of T69 in which the record is removed: two processes log in at once, and
    /// the server rejects the first.
    fn refused_because_another_logged_in(stage: &mut Stage) {
        stage.server.inject(Rule::once(Matcher::Login, Fault::Hold { when: When::Before }));
        stage.server.inject(Rule::once(Matcher::Login, Fault::Refuse { status: 401 }));
        let (mut first, mut second) = (stage.start(), stage.start());
        first.tell(Command::Call(5)).unwrap();
        stage.wait_for_held_login();
        clear(stage);
        assert_eq!(second.run(Command::Call(5)).unwrap().answered, 5);
        stage.server.release();
        let report = first.report().unwrap();
        assert_eq!((report.answered, report.adopted), (5, 1), "{report:?}");
        assert_eq!(stage.logins(), 2);
        // No rejection remains, here or in the store.
        stage.server.revoke_all();
        assert_eq!(stage.start().run(Command::Call(5)).unwrap().answered, 5);
        assert_eq!(stage.logins(), 3);
    }

    /// T75.
    fn a_record_without_expiry_is_replaced(stage: &mut Stage) {
        let bare = Fault::SetCookies(vec!["authToken={token}; Path=/".into()]);
        stage.server.inject(Rule::once(Matcher::Login, bare));
        assert_eq!(stage.start().run(Command::Call(1)).unwrap().answered, 1);
        stage.server.revoke_all();
        for _ in 0..3 {
            assert_eq!(stage.start().run(Command::Call(1)).unwrap().answered, 1);
        }
        assert_eq!(stage.logins(), 2);
    }
}

/// Removes everything from the store, as an operator might.
fn clear(stage: &Stage) {
    match &stage.place {
        Place::File(folder) => fs::remove_dir_all(folder).unwrap(),
        Place::Redis(..) => {
            stage.redis.as_ref().unwrap().command("FLUSHALL").unwrap();
        }
    }
}
