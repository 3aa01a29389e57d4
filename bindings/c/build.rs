//! Gives the shared library its name for the dynamic linker; a plain cdylib has none.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // The number after `.so` changes only when programs must be compiled anew.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libhasty.so.0");
    // Its threads and thread-locals must not lose their code to dlclose().
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
