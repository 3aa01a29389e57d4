//! Writes the table of `src/http/media_type.rs`: what mime_guess knows, as one text and the places in it.
//!
//! mime_guess itself has a pointer for every name and type, which the dynamic linker sets one by one: linked in, it makes
//! the library 180 KB larger; so it takes 36.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = std::env::var_os("OUT_DIR").expect("cargo names a folder to write to");
    std::fs::write(Path::new(&folder).join("media_types.rs"), table()).expect("and it can be written to");
}

/// Rust: the text, and for every extension in their order where it is and where its type is.
fn table() -> String {
    let all = mime_guess::get_extensions("*", "*").expect("mime_guess is built with all extensions");
    let types: BTreeMap<_, _> = all.iter().map(|name| (name.to_ascii_lowercase(), sent_for(name))).collect();
    let mut text = String::new();
    let mut places = HashMap::new();
    let mut known = String::new();
    for (name, media_type) in &types {
        let [name, media_type] = [name, media_type].map(|part| {
            let (start, length) = *places.entry(part.clone()).or_insert_with(|| {
                text.push_str(part);
                (text.len() - part.len(), part.len())
            });
            format!("Place {{ start: {start}, length: {length} }}")
        });
        writeln!(known, "    ({name}, {media_type}),").expect("a String takes everything");
    }
    format!("static TEXT: &str = {text:?};\n\nstatic KNOWN: [(Place, Place); {}] = [\n{known}];\n", types.len())
}

/// What is sent for files with an extension; text types are UTF-8.
fn sent_for(name: &str) -> String {
    let known = match mime_guess::from_ext(name).first_raw().expect("what has extensions is known by them") {
        // RFC 9239 6: obsolete names of what browsers load as a module under any of them.
        "application/javascript" | "application/x-javascript" => "text/javascript",
        known => known,
    };
    let is_text = known.starts_with("text/") && !known.contains("charset");
    if is_text { format!("{known}; charset=utf-8") } else { known.to_owned() }
}
