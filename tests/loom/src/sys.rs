//! What the library has in `src/server/sys`: its own files, but for `event` and `sync`.

#[path = "../../../src/server/sys/baton.rs"]
pub(crate) mod baton;
#[path = "../../../src/server/sys/owned.rs"]
pub(crate) mod owned;
pub(crate) mod event;
pub(crate) mod sync;
