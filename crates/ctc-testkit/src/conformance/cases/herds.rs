//! Many callers at once cause one login.

use super::prelude::*;
use crate::When;

/// The number of callers at once.
const MANY: usize = 24;

pub(super) fn cold_herd_logs_in_once(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    let herd = scene.client.herd(MANY, &scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    equal(
        "calls before the first token",
        scene.server.counts().calls,
        0,
    )?;
    scene.server.release();
    for call in herd {
        equal(
            "the status of a call of the herd",
            answered(call)?.status,
            200,
        )?;
    }
    scene.counts(1, MANY as u64)
}

pub(super) fn herd_on_a_dead_token_logs_in_once(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.inject(Rule::times(
        MANY as u32,
        Matcher::AnyCall,
        Fault::Hold { when: When::Before },
    ));
    let herd = scene.client.herd(MANY, &scene.client.get(DEVICES))?;
    scene.until("the herd", |counts| counts.held == MANY as u64)?;
    scene.server.revoke_all();
    scene.server.release();
    for call in herd {
        equal(
            "the status of a call of the herd",
            answered(call)?.status,
            200,
        )?;
    }
    equal(
        "responses of 401",
        scene.server.counts().unauthorized,
        MANY as u64,
    )?;
    scene.counts(2, 2 * MANY as u64)
}

pub(super) fn refused_herd_logs_in_once(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene_of(
        Server::builder(),
        Setup::default().account("fleet+test@example.com", "wrong!"),
    )?;
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    let herd = scene.client.herd(MANY, &scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    scene.server.release();
    for call in herd {
        match call.wait()? {
            Ok(head) => {
                return fail(
                    "a call of the herd",
                    "a denial".into(),
                    head.status.to_string(),
                );
            }
            Err(failed) => rejected(denied(failed)?.denial(), 401)?,
        }
    }
    // Nothing later causes another login: neither a call a day later, nor `login`.
    scene.client.clock.advance(24 * HOUR);
    rejected(
        scene.client.denied(scene.client.get(DEVICES))?.denial(),
        401,
    )?;
    match scene.client.login()? {
        Ok(()) => return fail("the login", "a denial".into(), "it succeeded".into()),
        Err(denied) => rejected(denied.denial(), 401)?,
    }
    equal("logins rejected", scene.server.counts().logins_refused, 1)?;
    scene.counts(1, 0)
}

/// The login is rejected while some callers still use the old token: each gets its own 401 with the
/// reason, and none makes another login.
pub(super) fn herd_whose_renewal_is_refused_is_told(stage: &Stage<'_>) -> Checked {
    let scene = stage.open_scene()?;
    scene.server.lock("fleet+test@example.com");
    scene.server.inject(Rule::times(
        MANY as u32,
        Matcher::AnyCall,
        Fault::Hold { when: When::Before },
    ));
    let herd = scene.client.herd(MANY, &scene.client.get(DEVICES))?;
    scene.until("the herd", |counts| counts.held == MANY as u64)?;
    scene.server.revoke_all();
    scene.server.release();
    for call in herd {
        let refused = answered(call)?;
        equal("the status of a call of the herd", refused.status, 401)?;
        match refused.why {
            Some(Unauthorized::NoLogin { denial, .. }) => rejected(&denial, 401)?,
            other => return fail("why", "NoLogin".into(), format!("{other:?}")),
        }
    }
    scene.counts(2, MANY as u64)
}

#[track_caller]
fn rejected(denial: &Denial, status: u16) -> Checked {
    match denial {
        Denial::Rejected { status: seen, .. } => {
            equal("the status of the rejection", seen.as_u16(), status)?;
        }
        other => return fail("the denial", "Rejected".into(), format!("{other:?}")),
    }
    equal(
        "the time of the next attempt",
        denial.retry_after(std::time::Instant::now()),
        None,
    )
}
