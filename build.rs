//! Writes the table of `src/http/media_type.rs`: the extensions and types of mime_guess, as one string and positions in it.
//!
//! mime_guess itself has a pointer for every name and type, each of which the dynamic linker must relocate: linked in, it
//! would make the library 180 KB larger; this table takes 36 KB.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::path::Path;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let folder = std::env::var_os("OUT_DIR").expect("cargo names a folder to write to");
    std::fs::write(Path::new(&folder).join("media_types.rs"), table()).expect("and it can be written to");
}

/// Generates the Rust code: the text and, sorted by extension, the positions of each extension and its type.
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

/// The Content-Type for files with this extension; text types are UTF-8.
fn sent_for(name: &str) -> String {
    let known = match mime_guess::from_ext(name).first_raw().expect("what has extensions is known by them") {
        // RFC 9239 6: these names are obsolete aliases of text/javascript.
        "application/javascript" | "application/x-javascript" => "text/javascript",
        known => known,
    };
    let is_text = known.starts_with("text/") && !known.contains("charset");
    if is_text { format!("{known}; charset=utf-8") } else { known.to_owned() }
}
