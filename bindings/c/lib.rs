//! `libhasty.so` and `libhasty.a`: the C functions that `src/ffi` of the crate exports.

// Unused here, but without this line the crate and its C functions would not be linked.
extern crate server as _;
