//! What the library has in `src/server/sys`: its own files, but for `sync`.

#[path = "../../../src/server/sys/baton.rs"]
pub(crate) mod baton;
#[path = "../../../src/server/sys/owned.rs"]
pub(crate) mod owned;
pub(crate) mod sync;
