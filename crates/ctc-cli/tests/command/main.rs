//! The program itself, as a shell runs it, against a CTC server on loopback.

mod calls;
mod endings;
mod one_login;
mod operators;
mod secrets;
mod sessions;
mod support;
mod via;
