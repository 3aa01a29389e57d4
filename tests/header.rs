//! `include/hasty.h` is what cbindgen makes of `src/ffi/`, byte for byte.
//!
//! `make header` (or `HASTY_BLESS=1 cargo test --test header`) writes it anew.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

#[test]
fn the_committed_header_is_what_the_source_says() {
    let path = root().join("include/hasty.h");
    let made = generate();
    if env::var_os("HASTY_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("include/hasty.h is in a folder")).expect("include/ can be made");
        fs::write(&path, made).expect("include/hasty.h can be written");
        return;
    }
    let committed = fs::read_to_string(&path).expect("include/hasty.h can be read; `make header` makes it");
    assert!(committed == made, "include/hasty.h is not what src/ffi says; `make header` writes it.\n{}", difference(&committed, &made));
}

#[test]
fn every_exported_function_is_in_the_header() {
    let made = generate();
    for file in source_files() {
        let source = fs::read_to_string(&file).expect("a source file can be read");
        for name in exported(&source) {
            assert!(made.contains(&format!("{name}(")), "{name} of {} is not in the header", file.display());
        }
    }
}

#[test]
fn every_function_is_introduced_by_one_whole_sentence() {
    let made = generate();
    for comment in made.split("/**").skip(1) {
        let (comment, declaration) = comment.split_once("*/").expect("a comment ends");
        let declaration = declaration.trim_start().lines().next().unwrap_or_default();
        let first = comment.lines().map(|line| line.trim_matches([' ', '*'])).find(|line| !line.is_empty()).unwrap_or_default();
        if declaration.contains("hasty_") && declaration.contains('(') {
            assert!(first.ends_with('.') && first.contains(' '), "{declaration:?} is introduced by {first:?}");
        }
    }
}

#[test]
fn a_difference_shows_the_lines_that_differ_and_no_others() {
    let shown = difference("a\nb\nc\nd\ne\nf\ng\n", "a\nb\nc\nd\nX\nf\ng\n");
    assert_eq!(shown, "line 5:\n  c\n  d\n- e\n+ X\n  f\n  g\n");
}

/// The header, made in memory: the committed file is never touched by a test that only looks.
///
/// cbindgen starts at `src/ffi/mod.rs` and follows its `mod` lines: their order is the header's.
fn generate() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).expect("cbindgen.toml is valid");
    let bindings = cbindgen::Builder::new().with_config(config).with_src(root().join("src/ffi/mod.rs")).generate();
    let mut bytes = Vec::new();
    bindings.expect("cbindgen understands src/ffi").write(&mut bytes);
    with_comments_of_c89(&String::from_utf8(bytes).expect("the header is UTF-8"))
}

/// cbindgen ends some lines with `// __cplusplus`, about which a compiler of C89 complains.
fn with_comments_of_c89(header: &str) -> String {
    let lines = header.lines().map(|line| match line.split_once(" // ") {
        Some((code, words)) if !line.trim_start().starts_with('*') => format!("{} /* {words} */\n", code.trim_end()),
        _ => format!("{line}\n"),
    });
    lines.collect()
}

fn source_files() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("src/ffi")).expect("src/ffi is a folder");
    entries
        .map(|entry| entry.expect("src/ffi can be listed").path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "rs"))
        .collect()
}

/// The names of the functions that the linker will see.
fn exported(source: &str) -> Vec<&str> {
    source
        .split("#[unsafe(no_mangle)]")
        .skip(1)
        .filter_map(|rest| rest.split_once("fn ")?.1.split_once('('))
        .map(|(name, _)| name.trim())
        .collect()
}

/// Where two texts differ: from the first to the last line that does, with two lines around.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let room = old.len().min(new.len()) - same;
    let tail = old.iter().rev().zip(new.iter().rev()).take(room).take_while(|(a, b)| a == b).count();
    let mut out = format!("line {}:\n", same + 1);
    let mut show = |sign: &str, lines: &[&str]| {
        for line in lines {
            let _ = writeln!(out, "{sign} {line}");
        }
    };
    show(" ", &old[same.saturating_sub(2)..same]);
    show("-", &old[same..old.len() - tail]);
    show("+", &new[same..new.len() - tail]);
    show(" ", &old[old.len() - tail..(old.len() - tail + 2).min(old.len())]);
    out
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
