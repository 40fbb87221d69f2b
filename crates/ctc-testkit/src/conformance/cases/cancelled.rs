//! Futures that are dropped midway. A thread cannot be dropped, so blocking stacks skip these
//! cases.

use super::prelude::*;
use crate::When;

pub(super) fn a_cancelled_elected_caller_costs_no_login(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    let leader = scene.client.start(scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    let others = scene.client.herd(5, &scene.client.get(DEVICES))?;
    leader.cancel();
    scene.server.release();
    for call in others {
        equal(
            "the status of a call that waited",
            answered(call)?.status,
            200,
        )?;
    }
    scene.counts(1, 5)
}

pub(super) fn cancelling_all_wedges_nothing(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    let herd = scene.client.herd(5, &scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    for call in herd {
        call.cancel();
    }
    // The login is a separate task: it ends without its callers, and its token is used.
    scene.server.release();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(1, 1)
}

pub(super) fn cancelled_call_wedges_nothing(stage: &Stage<'_>) -> Checked {
    let scene = stage.scene()?;
    scene.client.open()?;
    scene.server.inject(Rule::once(
        Matcher::AnyCall,
        Fault::Hold { when: When::Before },
    ));
    let call = scene.client.start(scene.client.get(DEVICES))?;
    scene.until("the call", |counts| counts.held == 1)?;
    call.cancel();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    // Some stacks cannot cancel a request that was sent.
    scene.server.release();
    scene.until("the call to go", |counts| counts.held == 0)?;
    // During a renewal that it caused itself.
    scene.server.revoke_all();
    scene.server.inject(Rule::once(
        Matcher::Login,
        Fault::Hold { when: When::Before },
    ));
    let call = scene.client.start(scene.client.get(DEVICES))?;
    scene.until("the login", |counts| counts.held == 1)?;
    call.cancel();
    scene.server.release();
    scene.client.expect(scene.client.get(DEVICES), 200)?;
    scene.counts(2, 4)
}
