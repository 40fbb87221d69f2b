//! The OAuth login of many processes, and records of either login.

use ctc_examples::workers::{Adapter, Command, Job, Worker, all};

use crate::{Stage, WORKER_ARGS, on_both_stores};

fn job(stage: &Stage, adapter: Adapter) -> Job {
    Job {
        token_url: Some(stage.server.token_url()),
        adapter,
        ..stage.job()
    }
}

on_both_stores! {
    /// Five processes within a second, where the server lets a user log in four times.
    fn one_oauth_login_for_five_processes(stage: &mut Stage) {
        let (blocking, tasks) = (Adapter::Blocking, Adapter::Async);
        let kinds = [blocking, tasks, blocking, tasks, blocking];
        let jobs = kinds.map(|adapter| job(stage, adapter));
        let mut workers = Worker::start_all(&jobs, WORKER_ARGS).unwrap();
        for logins in 1..=2 {
            let sum = all(&mut workers, Command::Call(5)).unwrap();
            assert_eq!((sum.answered, sum.refused()), (25, 0), "{sum:?}");
            assert_eq!(stage.server.counts().token_requests, logins);
            stage.server.expire_all();
        }
        assert_eq!(stage.logins(), 2, "none of them a cookie login");
        stage.all_fair();
    }

    /// Neither login adopts a token of the other.
    fn a_record_of_the_other_login_is_not_adopted(stage: &mut Stage) {
        let oauth = job(stage, Adapter::Blocking);
        let cookie = stage.job();
        for (at, job) in [&cookie, &oauth, &cookie, &oauth].into_iter().enumerate() {
            let mut worker = Worker::start(job, WORKER_ARGS).unwrap();
            let report = worker.run(Command::Call(2)).unwrap();
            assert_eq!(report.answered, 2, "{report:?}");
            // At first the record has only the other login's token. Later it may have one of this
            // login.
            if at < 2 {
                assert_eq!((report.logins, report.adopted), (1, 0), "{at}");
            }
        }
        let counts = stage.server.counts();
        assert_eq!(counts.violations, 0, "no token went out as what it is not");
        assert!(counts.token_requests >= 1 && counts.login_requests > counts.token_requests);
    }
}
