//! `libhasty.so` and `libhasty.a`: what `src/ffi` of the crate exports, and the code behind it.

// Nothing is said of it here, but without this its C functions would not be linked.
extern crate server as _;
