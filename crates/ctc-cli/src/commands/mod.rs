//! What each command does.

pub(crate) mod call;
pub(crate) mod doctor;
pub(crate) mod exec;
pub(crate) mod login;
pub(crate) mod shell;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod token;
