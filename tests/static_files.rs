//! Folders of files over real sockets: what is served, what never is, and how much of it.

mod support;

use hasty::{App, Error, Request, Response, StaticOptions};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime};
use support::{Answer, Client, Logs, PATIENCE, Random, Server, get, pattern};

/// A folder for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hasty-static-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a folder can be made");
        Folder(path)
    }

    fn at(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// A file that was last changed an hour ago.
    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.new_file(name, bytes);
        set_age(&path, 3600);
        path
    }

    /// A file that was changed just now.
    fn new_file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders can be made");
        fs::write(&path, bytes).expect("a file can be written");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_age(path: &Path, seconds: u64) {
    let file = File::options().read(true).open(path).expect("the file is there");
    file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).expect("its time can be set");
}

/// A folder `site` beside a file and a folder that are nobody's to see, served at `/s`.
struct Site {
    folder: Folder,
    server: Server,
}

const SECRET: &str = "SECRET that no client may see";

impl Site {
    fn new() -> Site {
        Site::with(&StaticOptions::default())
    }

    fn with(options: &StaticOptions) -> Site {
        Site::app(&[], options, |_| {})
    }

    fn app(app_options: &[(&str, &str)], options: &StaticOptions, more: impl FnOnce(&App)) -> Site {
        let folder = Folder::new();
        folder.file("secret.txt", SECRET);
        folder.file("site-secret/a.txt", SECRET);
        folder.file("site/index.html", "<p>index</p>");
        folder.file("site/a.txt", "abcdefghijklmnopqrstuvwxyz");
        folder.file("site/docs/index.html", "<p>docs</p>");
        folder.file("site/docs/b c.txt", "b c");
        folder.file("site/\u{fc}.txt", "umlaut");
        folder.file("site/empty.txt", "");
        folder.file("site/.hidden", SECRET);
        folder.file("site/.git/config", SECRET);
        fs::create_dir(folder.at("site/bare")).expect("a folder can be made");
        folder.file("site/bare/x.txt", "x");
        let server = Server::start(app_options, |app| {
            app.static_files("/s", folder.at("site"), options).expect("the folder can be served");
            more(app);
        });
        Site { folder, server }
    }

    /// One for the kernel's way of keeping paths inside, one for the library's own.
    fn both(change: impl Fn(&mut StaticOptions)) -> [Site; 2] {
        [false, true].map(|walk| {
            let mut options = StaticOptions { walk, ..StaticOptions::default() };
            change(&mut options);
            Site::with(&options)
        })
    }

    #[track_caller]
    fn get(&self, target: &str) -> Answer {
        self.ask("GET", target, &[])
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
        let mut client = self.server.connect();
        client.send(request(method, target, fields));
        if method == "HEAD" { client.answer_to_head() } else { client.answer() }
    }
}

fn request(method: &str, target: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!("{method} {target} HTTP/1.1\r\nHost: a\r\n");
    for (name, value) in fields {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n").into_bytes()
}

// ---- what is served

#[test]
fn files_are_served_with_type_validators_and_length() {
    for site in Site::both(|_| {}) {
        let answer = site.get("/s/a.txt");
        assert_eq!((answer.status, answer.text().as_str()), (200, "abcdefghijklmnopqrstuvwxyz"));
        assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.field("accept-ranges"), Some("bytes"));
        assert_eq!(answer.field("content-length"), Some("26"));
        let modified = httpdate::parse_http_date(answer.field("last-modified").expect("a date")).expect("a valid date");
        let age = SystemTime::now().duration_since(modified).expect("in the past").as_secs();
        assert!((3599..3700).contains(&age), "{age}");
        let etag = answer.field("etag").expect("a tag");
        assert!(etag.starts_with('"') && etag.ends_with('"') && etag.len() > 10, "{etag}");
        assert_eq!(answer.field("cache-control"), None);
        assert_eq!(answer.field("vary"), None);
    }
}

#[test]
fn paths_find_their_files() {
    for site in Site::both(|_| {}) {
        for (target, body) in [
            ("/s/", "<p>index</p>"),
            ("/s/index.html", "<p>index</p>"),
            ("/s/docs/", "<p>docs</p>"),
            ("/s/docs/index.html", "<p>docs</p>"),
            ("/s/docs/b%20c.txt", "b c"),
            ("/s/%C3%BC.txt", "umlaut"),
            ("/s/%61.txt", "abcdefghijklmnopqrstuvwxyz"),
            ("/s/bare/x.txt", "x"),
            ("/s/a.txt?query=../../secret.txt", "abcdefghijklmnopqrstuvwxyz"),
            ("/s/empty.txt", ""),
            ("http://a/s/a.txt", "abcdefghijklmnopqrstuvwxyz"),
        ] {
            for round in ["from the disk", "from memory"] {
                let answer = site.get(target);
                assert_eq!((answer.status, answer.text().as_str()), (200, body), "{target} {round}");
            }
        }
    }
}

#[test]
fn whatever_is_not_there_is_404() {
    for site in Site::both(|_| {}) {
        for target in [
            "/s/none.txt",
            "/s/none/",
            "/s/none/none.txt",
            "/s/a.txt/",
            "/s/a.txt/b",
            "/s/bare/",
            "/s/docs//index.html",
            "/s//a.txt",
            "/s/docs/%20",
            "/sa.txt",
            "/s/A.TXT",
            "/s/a.txt%20",
        ] {
            assert_eq!(site.get(target).status, 404, "{target}");
        }
        let long = format!("/s/{}", "x".repeat(4000));
        assert_eq!(site.get(&long).status, 404, "a name longer than any file's");
        let deep = format!("/s/{}", "x/".repeat(3000));
        assert_eq!(site.get(&deep).status, 404, "a path longer than any file's");
    }
}

#[test]
fn nothing_outside_is_served_and_nothing_hidden() {
    for site in Site::both(|_| {}) {
        symlink("../secret.txt", site.folder.at("site/out")).unwrap();
        symlink("..", site.folder.at("site/up")).unwrap();
        symlink(site.folder.at("secret.txt"), site.folder.at("site/absolute")).unwrap();
        symlink(site.folder.at("site/a.txt"), site.folder.at("site/absolute-inside")).unwrap();
        symlink("/", site.folder.at("site/docs/everything")).unwrap();
        symlink("loop", site.folder.at("site/loop")).unwrap();
        symlink("nowhere", site.folder.at("site/dangling")).unwrap();
        symlink("/proc/self/root", site.folder.at("site/magic")).unwrap();
        for target in [
            "/s/../secret.txt",
            "/s/docs/../../secret.txt",
            "/s/..",
            "/s/../",
            "/s/.",
            "/s/./a.txt",
            "/s/docs/..",
            "/s/docs/../a.txt",
            "/s/%2e%2e/secret.txt",
            "/s/%2E%2E%2Fsecret.txt",
            "/s/..%2Fsecret.txt",
            "/s/%2Fetc%2Fpasswd",
            "/s/%2e/a.txt",
            "/s/docs%2Findex.html",
            "/s/docs%2F",
            "/s/..%5Csecret.txt",
            "/s/..\\secret.txt",
            "/s/\\..\\secret.txt",
            "/s/%252e%252e/secret.txt",
            "/s/%c0%ae%c0%ae/secret.txt",
            "/s/%e0%80%ae%e0%80%ae/secret.txt",
            "/s/..%c0%afsecret.txt",
            "/s/.../secret.txt",
            "/s/..;/secret.txt",
            "/s/-secret/a.txt",
            "/s/out",
            "/s/up/secret.txt",
            "/s/up/site/a.txt",
            "/s/up/",
            "/s/absolute",
            "/s/absolute-inside",
            "/s/docs/everything/etc/passwd",
            "/s/loop",
            "/s/dangling",
            "/s/magic/etc/passwd",
            "/s/.hidden",
            "/s/%2ehidden",
            "/s/.git/config",
            "/s/.git/",
            "/s/.git",
            "/s/docs/.%2e/a.txt",
        ] {
            let answer = site.get(target);
            assert_eq!(answer.status, 404, "{target}: {answer:?}");
        }
        for target in ["/s/a.txt%00.html", "/s/%00", "/s/%zz", "/s/a%2", "/s/%"] {
            assert_eq!(site.get(target).status, 400, "{target}");
        }
    }
}

#[test]
fn links_that_stay_inside_are_followed() {
    for site in Site::both(|_| {}) {
        symlink("a.txt", site.folder.at("site/same")).unwrap();
        symlink("../a.txt", site.folder.at("site/docs/above")).unwrap();
        symlink("docs", site.folder.at("site/handbook")).unwrap();
        symlink("handbook/../docs/./b c.txt", site.folder.at("site/long")).unwrap();
        for target in ["/s/same", "/s/docs/above", "/s/handbook/above"] {
            assert_eq!(site.get(target).text(), "abcdefghijklmnopqrstuvwxyz", "{target}");
        }
        assert_eq!(site.get("/s/handbook/").text(), "<p>docs</p>");
        assert_eq!(site.get("/s/long").text(), "b c");
        assert_eq!(site.get("/s/handbook").status, 301);
    }
}

#[test]
fn fifteen_hundred_odd_paths_show_nothing_outside() {
    const PIECES: &[&str] = &[
        "..",
        ".",
        "",
        "/",
        "//",
        "%2e",
        "%2E%2e",
        "%2f",
        "%2F",
        "%5c",
        "\\",
        "%00",
        "%c0%ae",
        "%c0%af",
        "%252e",
        "%252f",
        "..;",
        "...",
        "secret.txt",
        "site",
        "site-secret",
        "a.txt",
        "docs",
        "up",
        "out",
        "etc",
        "passwd",
        "%73ecret.txt",
        ".hidden",
        "~",
        "%u002e",
        "?",
        "%ff",
        "index.html",
        "%3f",
        ";",
        "*",
        ":",
        "@",
        "+",
    ];
    for site in Site::both(|options| options.list = true) {
        symlink("../secret.txt", site.folder.at("site/out")).unwrap();
        symlink("..", site.folder.at("site/up")).unwrap();
        let mut random = Random::new(3);
        let mut client = site.server.connect();
        let mut seen = [0; 600];
        for _ in 0..1500 {
            let mut target = "/s/".to_owned();
            for _ in 0..=random.below(8) {
                target += random.one_of(PIECES);
                if random.below(3) > 0 {
                    target.push('/');
                }
            }
            client.send(get(&target));
            let answer = client.answer();
            assert!(!answer.text().contains("SECRET") && !answer.text().contains("root:"), "{target}: {answer:?}");
            assert!(matches!(answer.status, 200 | 301 | 400 | 404), "{target}: {answer:?}");
            if let Some(location) = answer.field("location") {
                assert!(location.starts_with("/s/"), "{target}: {location}");
            }
            seen[usize::from(answer.status)] += 1;
            if answer.says_close() {
                client = site.server.connect();
            }
        }
        assert!(seen[200] > 10 && seen[400] > 10 && seen[404] > 100, "all kinds of paths were tried");
        site.server.expect_alive();
    }
}

#[test]
fn only_regular_files_are_opened_and_nothing_hangs() {
    for site in Site::both(|_| {}) {
        let fifo = site.folder.at("site/fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
        let _socket = std::os::unix::net::UnixListener::bind(site.folder.at("site/socket")).unwrap();
        for target in ["/s/fifo", "/s/socket", "/s/fifo", "/s/fifo/"] {
            let start = Instant::now();
            assert_eq!(site.get(target).status, 404, "{target}");
            assert!(start.elapsed() < PATIENCE, "{target} hung");
        }
    }
}

#[test]
fn a_folder_that_is_called_like_the_index_is_none() {
    let site = Site::new();
    fs::create_dir_all(site.folder.at("site/odd/index.html")).unwrap();
    assert_eq!(site.get("/s/odd/").status, 404);
    assert_eq!(site.get("/s/odd/index.html").field("location"), Some("/s/odd/index.html/"));
}

#[test]
fn a_file_that_may_not_be_read_is_403() {
    let site = Site::new();
    let path = site.folder.file("site/locked.txt", SECRET);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    // Whoever is root may read everything.
    let expected = if File::open(&path).is_ok() { 200 } else { 403 };
    assert_eq!(site.get("/s/locked.txt").status, expected);
}

// ---- folders

#[test]
fn a_folder_without_slash_is_redirected() {
    for site in Site::both(|_| {}) {
        for (target, location) in [
            ("/s", "/s/"),
            ("/s?a=b&c", "/s/?a=b&c"),
            ("/s/docs", "/s/docs/"),
            ("/s/docs?x=//y", "/s/docs/?x=//y"),
            ("/s/bare", "/s/bare/"),
            ("/s/%64ocs", "/s/%64ocs/"),
            ("/s/docs?", "/s/docs/?"),
            ("http://a/s/docs", "/s/docs/"),
        ] {
            let answer = site.get(target);
            assert_eq!((answer.status, answer.field("location")), (301, Some(location)), "{target}");
        }
    }
}

#[test]
fn a_redirect_never_names_another_host() {
    let folder = Folder::new();
    for name in ["evil.example", "\\evil.example", "%2Fevil"] {
        fs::create_dir_all(folder.at(name)).unwrap();
    }
    let server = Server::start(&[], |app| app.static_files("/f/..", &folder.0, &StaticOptions::default()).unwrap());
    drop(server);
    let app = App::new(hasty::Options::new()).unwrap();
    app.static_files("/", &folder.0, &StaticOptions::default()).unwrap();
    app.listen(None, 0).unwrap();
    let server = Server::of(app);
    for (target, expected) in [
        ("//evil.example", None),
        ("/evil.example", Some("/evil.example/")),
        ("/\\evil.example", Some("/%5Cevil.example/")),
        ("/%5Cevil.example", Some("/%5Cevil.example/")),
        ("/%2Fevil.example", None),
        ("//evil.example/..", None),
        ("/%252Fevil", Some("/%252Fevil/")),
    ] {
        let mut client = server.connect();
        client.send(get(target));
        assert_eq!(client.answer().field("location"), expected, "{target}");
    }
}

#[test]
fn an_index_can_have_another_name_or_none() {
    for (index, status) in [("b c.txt", 200), ("", 404), ("none", 404)] {
        let site = Site::with(&StaticOptions { index: index.to_owned(), ..StaticOptions::default() });
        assert_eq!(site.get("/s/docs/").status, status, "{index}");
    }
}

#[test]
fn a_folder_is_listed_where_that_is_asked_for() {
    for site in Site::both(|options| options.list = true) {
        for name in ["zz.txt", "aa & <b>.txt", "m'\".txt"] {
            site.folder.file(&format!("site/bare/{name}"), "12345");
        }
        site.folder.file("site/bare/sub/y.txt", "");
        site.folder.file("site/bare/.secret", "");
        symlink("../../secret.txt", site.folder.at("site/bare/out")).unwrap();
        symlink("x.txt", site.folder.at("site/bare/in")).unwrap();
        let mut odd = site.folder.at("site/bare").into_os_string().into_encoded_bytes();
        odd.extend_from_slice(b"/\xff.bin");
        fs::write(Path::new(std::ffi::OsStr::from_bytes(&odd)), "").unwrap();

        let answer = site.get("/s/bare/");
        assert_eq!((answer.status, answer.field("content-type")), (200, Some("text/html; charset=utf-8")));
        let text = answer.text();
        let hrefs: Vec<&str> = text.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(
            hrefs,
            ["../", "./sub/", "./aa%20%26%20%3Cb%3E.txt", "./in", "./m%27%22.txt", "./x.txt", "./zz.txt", "./%FF.bin"],
            "folders first, sorted, no hidden ones, no link that leads out"
        );
        assert!(text.contains(">aa &amp; &lt;b&gt;.txt<") && !text.contains("<b>"), "{text}");
        assert!(text.contains("5 B"), "sizes");
        for href in &hrefs[1..] {
            let answer = site.get(&format!("/s/bare/{}", &href[2..]));
            assert_eq!(answer.status, 200, "{href}");
        }
        assert_eq!(site.get("/s/").text(), "<p>index</p>", "an index comes first");
        assert_eq!(site.get("/s/none/").status, 404);
        assert_eq!(site.get("/s/a.txt/").status, 404);
        assert_eq!(site.get("/s/bare").status, 301);
        let head = site.ask("HEAD", "/s/bare/", &[]);
        assert_eq!(head.field("content-length"), Some(&*text.len().to_string()));
    }
}

#[test]
fn a_folder_without_index_is_listed_if_there_can_be_none() {
    for index in ["", "odd"] {
        for site in Site::both(|options| (options.list, options.index) = (true, index.to_owned())) {
            fs::create_dir_all(site.folder.at("site/odd")).unwrap();
            fs::create_dir_all(site.folder.at("site/docs/odd")).unwrap();
            for target in ["/s/", "/s/docs/"] {
                let answer = site.get(target);
                assert_eq!(answer.status, 200, "{index:?} {target}");
                assert!(answer.text().contains("href=\"./odd/\""), "{index:?} {target}: {answer:?}");
            }
            assert_eq!(site.get("/s/docs").status, 301, "{index:?}");
            assert_eq!(site.get("/s/a.txt/").status, 404, "{index:?}");
        }
    }
}

#[test]
fn dotfiles_are_served_where_that_is_asked_for() {
    for site in Site::both(|options| options.dotfiles = true) {
        for target in ["/s/.hidden", "/s/%2Ehidden", "/s/.git/config"] {
            assert_eq!(site.get(target).status, 200, "{target}");
        }
        for target in ["/s/../secret.txt", "/s/./a.txt", "/s/..", "/s/.", "/s/%2e%2e/secret.txt", "/s/.git/../a.txt"] {
            assert_eq!(site.get(target).status, 404, "{target}");
        }
    }
}

#[test]
fn a_fallback_answers_where_nothing_is() {
    for site in Site::both(|options| options.fallback = Some("/index.html".to_owned())) {
        symlink("../secret.txt", site.folder.at("site/out")).unwrap();
        for target in ["/s/users/7", "/s/none.js", "/s/bare/", "/s/a.txt/b"] {
            let answer = site.get(target);
            assert_eq!((answer.status, answer.text().as_str()), (200, "<p>index</p>"), "{target}");
            assert_eq!(answer.field("content-type"), Some("text/html; charset=utf-8"));
            assert_eq!(site.ask("HEAD", target, &[]).field("content-length"), Some("12"));
        }
        for target in ["/s/../x", "/s/.hidden", "/s/out", "/s/%2e%2e/secret.txt"] {
            assert_eq!(site.get(target).status, 404, "{target}");
        }
        assert_eq!(site.get("/s/a.txt").text(), "abcdefghijklmnopqrstuvwxyz");
        assert_eq!(site.get("/s/docs").status, 301);
        assert_eq!(site.ask("POST", "/s/users/7", &[]).status, 405);
    }
}

#[test]
fn cache_control_is_sent_with_files() {
    let site = Site::with(&StaticOptions { cache_control: Some("public, max-age=3600".to_owned()), ..StaticOptions::default() });
    let answer = site.get("/s/a.txt");
    assert_eq!(answer.field("cache-control"), Some("public, max-age=3600"));
    let tag = answer.field("etag").unwrap().to_owned();
    let not_modified = site.ask("GET", "/s/a.txt", &[("If-None-Match", &tag)]);
    assert_eq!((not_modified.status, not_modified.field("cache-control")), (304, Some("public, max-age=3600")));
    assert_eq!(site.get("/s/none").field("cache-control"), None, "an error may pass soon");
}

// ---- methods

#[test]
fn only_get_head_and_options_are_known() {
    let site = Site::new();
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let answer = site.ask(method, "/s/a.txt", &[("Content-Length", "0")]);
        assert_eq!((answer.status, answer.field("allow")), (405, Some("GET, HEAD, OPTIONS")), "{method}");
    }
    assert_eq!(site.ask("OPTIONS", "/s/a.txt", &[]).status, 204);
}

#[test]
fn head_is_get_without_the_body() {
    let site = Site::new();
    site.folder.file("site/large.bin", pattern(300_000));
    for target in ["/s/a.txt", "/s/", "/s/large.bin", "/s/empty.txt", "/s/none", "/s/docs"] {
        for round in 0..2 {
            let (get, mut client) = (site.get(target), site.server.connect());
            client.send(request("HEAD", target, &[]));
            let head = client.answer_to_head();
            let fields = |answer: &Answer| answer.fields.iter().filter(|(name, _)| name != "Date").cloned().collect::<Vec<_>>();
            assert_eq!((head.status, fields(&head)), (get.status, fields(&get)), "{target}, round {round}");
            client.send(get_a());
            assert_eq!(client.answer().text(), "abcdefghijklmnopqrstuvwxyz", "the next answer follows at once");
        }
    }
    fn get_a() -> Vec<u8> {
        get("/s/a.txt")
    }
}

#[test]
fn files_are_pipelined() {
    let site = Site::new();
    site.folder.file("site/large.bin", pattern(200_000));
    let mut client = site.server.connect();
    client.send([get("/s/a.txt"), get("/s/large.bin"), get("/s/docs/"), get("/s/none"), get("/s/large.bin"), get("/s/empty.txt")].concat());
    assert_eq!(client.answer().text(), "abcdefghijklmnopqrstuvwxyz");
    assert!(client.answer().body == pattern(200_000));
    assert_eq!(client.answer().text(), "<p>docs</p>");
    assert_eq!(client.answer().status, 404);
    assert!(client.answer().body == pattern(200_000));
    assert_eq!(client.answer().text(), "");
}

// ---- sizes

#[test]
fn files_of_every_size_come_whole() {
    let site = Site::new();
    for size in [1, 4096, 16_383, 16_384, 16_385, 65_535, 65_536, 65_537, 200_000, 1 << 20, 5_000_001] {
        site.folder.file(&format!("site/{size}"), pattern(size));
        for round in 0..3 {
            let answer = site.get(&format!("/s/{size}"));
            assert!(answer.body == pattern(size), "{size} bytes, round {round}");
            assert_eq!(answer.field("content-type"), Some("application/octet-stream"));
        }
    }
}

#[test]
fn large_files_follow_each_other() {
    let site = Site::new();
    site.folder.file("site/large.bin", pattern(8 << 20));
    let mut client = site.server.connect();
    for _ in 0..3 {
        client.send(get("/s/large.bin"));
        assert!(client.expect(200).body == pattern(8 << 20), "the socket may take all of a turn's worth, and say nothing later");
    }
}

#[test]
fn clients_of_1_0_are_served() {
    let site = Site::new();
    site.folder.file("site/large.bin", pattern(200_000));
    for (target, length) in [("/s/a.txt", 26), ("/s/large.bin", 200_000)] {
        let mut client = site.server.connect();
        client.send(format!("GET {target} HTTP/1.0\r\n\r\n"));
        let answer = client.answer();
        assert_eq!((answer.status, answer.body.len()), (200, length));
        client.expect_end();
    }
}

// ---- conditions

#[test]
fn conditions_decide_what_is_sent() {
    for cache_ms in ["0", "1000"] {
        let site = Site::app(&[("cache_ms", cache_ms)], &StaticOptions::default(), |_| {});
        let first = site.get("/s/a.txt");
        let tag = first.field("etag").unwrap().to_owned();
        let weak = format!("W/{tag}");
        let list = format!("\"x\", {tag}");
        let date = first.field("last-modified").unwrap().to_owned();
        let (before, after) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2399 23:59:59 GMT");
        for (fields, status) in [
            (&[("If-None-Match", &*tag)][..], 304),
            (&[("If-None-Match", &weak)], 304),
            (&[("If-None-Match", &list)], 304),
            (&[("If-None-Match", "*")], 304),
            (&[("If-None-Match", "\"x\"")], 200),
            (&[("If-Modified-Since", &date)], 304),
            (&[("If-Modified-Since", after)], 304),
            (&[("If-Modified-Since", before)], 200),
            (&[("If-Modified-Since", "never")], 200),
            (&[("If-None-Match", "\"x\""), ("If-Modified-Since", after)], 200),
            (&[("If-Match", &tag)], 200),
            (&[("If-Match", "*")], 200),
            (&[("If-Match", &weak)], 412),
            (&[("If-Match", "\"x\"")], 412),
            (&[("If-Unmodified-Since", &date)], 200),
            (&[("If-Unmodified-Since", before)], 412),
            (&[("If-Match", &tag), ("If-None-Match", &tag)], 304),
            (&[("If-None-Match", &tag), ("Range", "bytes=0-1")], 304),
            (&[("If-Match", "\"x\""), ("Range", "bytes=0-1")], 412),
            (&[("If-Range", &tag), ("Range", "bytes=0-1")], 206),
            (&[("If-Range", &date), ("Range", "bytes=0-1")], 206),
            (&[("If-Range", &weak), ("Range", "bytes=0-1")], 200),
            (&[("If-Range", "\"x\""), ("Range", "bytes=0-1")], 200),
            (&[("If-Range", after), ("Range", "bytes=0-1")], 200),
            (&[("If-Range", "\"x\""), ("Range", "bytes=99-")], 200),
            (&[("If-Range", &tag), ("Range", "bytes=99-")], 416),
        ] {
            for method in ["GET", "HEAD"] {
                // RFC 9110 14.2: ranges are for GET.
                let expected = if method == "HEAD" && matches!(status, 206 | 416) { 200 } else { status };
                let answer = site.ask(method, "/s/a.txt", fields);
                assert_eq!(answer.status, expected, "{method} {fields:?}");
                if expected == 304 {
                    assert_eq!(answer.field("etag"), Some(&*tag));
                    assert_eq!((answer.field("content-type"), answer.field("content-length")), (None, None));
                }
            }
        }
    }
}

#[test]
fn a_file_that_has_just_changed_has_a_weak_tag() {
    let site = Site::new();
    site.folder.new_file("site/new.txt", "new");
    let answer = site.get("/s/new.txt");
    let tag = answer.field("etag").unwrap().to_owned();
    assert!(tag.starts_with("W/\""), "{tag}");
    assert_eq!(site.ask("GET", "/s/new.txt", &[("If-None-Match", &tag)]).status, 304);
    assert_eq!(site.ask("GET", "/s/new.txt", &[("If-Match", &tag)]).status, 412, "strong comparison");
    assert_eq!(site.ask("GET", "/s/new.txt", &[("If-Range", &tag), ("Range", "bytes=0-0")]).status, 200);
    let date = answer.field("last-modified").unwrap().to_owned();
    assert_eq!(site.ask("GET", "/s/new.txt", &[("If-Range", &date), ("Range", "bytes=0-0")]).status, 200);
}

#[test]
fn times_without_date_are_left_out_and_those_of_the_future_are_now() {
    let site = Site::new();
    for (name, time, expected) in [("old", "1960-01-01T00:00:00Z", false), ("future", "2300-01-01T00:00:00Z", true)] {
        let path = site.folder.file(&format!("site/{name}"), name);
        assert!(std::process::Command::new("touch").args(["-d", time]).arg(&path).status().expect("touch").success());
        let answer = site.get(&format!("/s/{name}"));
        assert_eq!(answer.status, 200);
        let modified = answer.field("last-modified").map(|date| httpdate::parse_http_date(date).unwrap());
        assert_eq!(modified.is_some(), expected, "{name}");
        assert!(modified.is_none_or(|modified| modified <= SystemTime::now()), "{name}");
    }
}

// ---- ranges

#[test]
fn a_range_is_a_part() {
    let site = Site::new();
    site.folder.file("site/large.bin", pattern(1 << 20));
    for (target, whole) in [("/s/a.txt", &b"abcdefghijklmnopqrstuvwxyz"[..]), ("/s/large.bin", pattern(1 << 20))] {
        let len = whole.len();
        for (range, start, end) in [
            ("bytes=0-0", 0, 1),
            ("bytes=0-", 0, len),
            ("bytes=5-9", 5, 10),
            ("bytes=-3", len - 3, len),
            ("bytes=20-99999999", 20, len),
            ("bytes=-99999999", 0, len),
            ("BYTES=1-1", 1, 2),
            ("bytes=0-4,3-8", 0, 9),
            ("bytes=0-4,5-8", 0, 9),
            ("bytes=2-3,99999999-", 2, 4),
        ] {
            for round in 0..2 {
                let answer = site.ask("GET", target, &[("Range", range)]);
                assert_eq!(answer.status, 206, "{target} {range} {round}: {answer:?}");
                assert!(answer.body == whole[start..end], "{target} {range}");
                assert_eq!(answer.field("content-range"), Some(&*format!("bytes {start}-{}/{len}", end - 1)), "{range}");
                assert!(answer.field("etag").is_some() && answer.field("last-modified").is_some());
            }
        }
    }
}

#[test]
fn ranges_beyond_the_end_are_416_and_malformed_ones_ignored() {
    let site = Site::new();
    for (target, range, expected) in [
        ("/s/a.txt", "bytes=26-", 416),
        ("/s/a.txt", "bytes=100-200,300-400", 416),
        ("/s/a.txt", "bytes=-0", 416),
        ("/s/empty.txt", "bytes=0-", 416),
        ("/s/empty.txt", "bytes=-5", 200),
        ("/s/a.txt", "bytes=5-2", 200),
        ("/s/a.txt", "bytes=a-b", 200),
        ("/s/a.txt", "bytes=", 200),
        ("/s/a.txt", "bytes", 200),
        ("/s/a.txt", "lines=1-2", 200),
        ("/s/a.txt", "bytes=0-1 2-3", 200),
    ] {
        let answer = site.ask("GET", target, &[("Range", range)]);
        assert_eq!(answer.status, expected, "{target} {range}");
        let len = if target == "/s/empty.txt" { 0 } else { 26 };
        let content_range = format!("bytes */{len}");
        assert_eq!(answer.field("content-range"), (expected == 416).then_some(&*content_range), "{range}");
        if expected == 200 {
            assert_eq!(answer.body.len(), len);
        }
    }
    let twice = site.ask("GET", "/s/a.txt", &[("Range", "bytes=0-1"), ("Range", "bytes=2-3")]);
    assert_eq!(twice.status, 200, "two Range fields are none");
}

#[test]
fn several_ranges_are_parts() {
    let site = Site::new();
    site.folder.file("site/large.bin", pattern(1 << 20));
    for (target, kind, whole) in [
        ("/s/a.txt", "text/plain; charset=utf-8", &b"abcdefghijklmnopqrstuvwxyz"[..]),
        ("/s/large.bin", "application/octet-stream", pattern(1 << 20)),
    ] {
        let len = whole.len();
        let answer = site.ask("GET", target, &[("Range", "bytes=20-25, 0-1 ,-2,10-10")]);
        assert_eq!(answer.status, 206);
        let expected = if len == 26 { vec![20..26, 0..2, 10..11] } else { vec![20..26, 0..2, len - 2..len, 10..11] };
        let boundary = answer.field("content-type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
        assert_eq!(answer.field("content-range"), None);
        let mut body = Vec::new();
        for range in &expected {
            body.extend_from_slice(if body.is_empty() { b"--" } else { b"\r\n--" });
            let line =
                format!("{boundary}\r\nContent-Type: {kind}\r\nContent-Range: bytes {}-{}/{len}\r\n\r\n", range.start, range.end - 1);
            body.extend_from_slice(line.as_bytes());
            body.extend_from_slice(&whole[range.clone()]);
        }
        body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
        assert!(answer.body == body, "{answer:?}");
    }
    let large = site.ask("GET", "/s/large.bin", &[("Range", "bytes=0-299999,500000-899999")]);
    let text = |range: std::ops::Range<usize>| {
        large.body.windows(300_000).any(|window| window == &pattern(1 << 20)[range.start..range.start + 300_000])
    };
    assert!(large.body.len() > 700_000 && large.body.len() < 701_000 && text(0..300_000) && text(500_000..900_000));
}

#[test]
fn too_many_ranges_are_ignored() {
    let site = Site::new();
    site.folder.file("site/medium.bin", pattern(10_000));
    let ask = |count: usize| {
        let ranges: Vec<String> = (0..count).map(|n| format!("{}-{}", 10 * n, 10 * n)).collect();
        site.ask("GET", "/s/medium.bin", &[("Range", &format!("bytes={}", ranges.join(",")))])
    };
    assert_eq!(ask(32).status, 206);
    let many = ask(200);
    assert_eq!((many.status, many.body.len()), (200, 10_000));
    let overlapping = site.ask("GET", "/s/medium.bin", &[("Range", &format!("bytes={}0-", "0-,".repeat(30)))]);
    assert_eq!((overlapping.status, overlapping.body.len()), (206, 10_000), "no byte is sent twice");
}

// ---- codings

#[test]
fn coded_files_go_to_those_who_take_them() {
    for site in Site::both(|_| {}) {
        site.folder.file("site/app.js", "plain");
        site.folder.file("site/app.js.br", "brotli");
        site.folder.file("site/app.js.gz", "gzip");
        site.folder.file("site/docs/index.html.gz", "gzip");
        site.folder.file("site/big.css", pattern(200_000));
        site.folder.file("site/big.css.gz", "gzip");
        for (target, accept, coding, body) in [
            ("/s/app.js", None, None, &b"plain"[..]),
            ("/s/app.js", Some("gzip"), Some("gzip"), b"gzip"),
            ("/s/app.js", Some("gzip, deflate, br"), Some("br"), b"brotli"),
            ("/s/app.js", Some("gzip;q=1, br;q=0.5"), Some("gzip"), b"gzip"),
            ("/s/app.js", Some("br;q=0"), None, b"plain"),
            ("/s/app.js", Some("identity"), None, b"plain"),
            ("/s/app.js", Some("deflate"), None, b"plain"),
            ("/s/app.js", Some("*"), Some("br"), b"brotli"),
            ("/s/big.css", Some("gzip"), Some("gzip"), b"gzip"),
            ("/s/big.css", Some("br"), None, pattern(200_000)),
        ] {
            for round in 0..2 {
                let fields: Vec<_> = accept.map(|accept| ("Accept-Encoding", accept)).into_iter().collect();
                let answer = site.ask("GET", target, &fields);
                assert_eq!((answer.status, answer.field("content-encoding")), (200, coding), "{target} {accept:?} {round}");
                assert!(answer.body == body, "{target} {accept:?} {round}");
                assert_eq!(answer.field("vary"), Some("Accept-Encoding"), "{target} {accept:?}");
                let kind = if target.ends_with("js") { "text/javascript; charset=utf-8" } else { "text/css; charset=utf-8" };
                assert_eq!(answer.field("content-type"), Some(kind), "{accept:?}");
            }
        }
        let index = site.ask("GET", "/s/docs/", &[("Accept-Encoding", "gzip")]);
        assert_eq!((index.text().as_str(), index.field("content-type")), ("gzip", Some("text/html; charset=utf-8")));
        let tags: Vec<_> = ["br", "gzip", "identity"]
            .map(|accept| site.ask("GET", "/s/app.js", &[("Accept-Encoding", accept)]).field("etag").unwrap().to_owned())
            .into();
        assert!(tags[0] != tags[1] && tags[1] != tags[2] && tags[0] != tags[2], "{tags:?}");
        let same = site.ask("GET", "/s/app.js", &[("Accept-Encoding", "br"), ("If-None-Match", &tags[0])]);
        assert_eq!((same.status, same.field("vary"), same.field("etag")), (304, Some("Accept-Encoding"), Some(&*tags[0])));
        assert_eq!(site.ask("GET", "/s/app.js", &[("Accept-Encoding", "br"), ("If-None-Match", &tags[1])]).status, 200);
        let part = site.ask("GET", "/s/app.js", &[("Accept-Encoding", "br"), ("Range", "bytes=0-1")]);
        assert_eq!((part.status, part.text().as_str(), part.field("content-encoding")), (206, "pl", None), "a range is of the file itself");
        assert_eq!(part.field("vary"), Some("Accept-Encoding"));
        let asked = site.ask("GET", "/s/app.js.gz", &[("Accept-Encoding", "gzip")]);
        assert_eq!(
            (asked.text().as_str(), asked.field("content-encoding"), asked.field("content-type")),
            ("gzip", None, Some("application/gzip"))
        );
        assert_eq!(site.ask("GET", "/s/a.txt", &[("Accept-Encoding", "br")]).field("vary"), None);
    }
}

#[test]
fn a_coded_file_without_its_original_is_not_found_under_that_name() {
    let site = Site::new();
    site.folder.file("site/only.js.gz", "gzip");
    assert_eq!(site.ask("GET", "/s/only.js", &[("Accept-Encoding", "gzip")]).status, 404);
}

// ---- memory

#[test]
fn a_change_is_seen_as_soon_as_memory_is_not_fresh() {
    for (cache_ms, at_once) in [("0", true), ("60000", false)] {
        let site = Site::app(&[("cache_ms", cache_ms)], &StaticOptions::default(), |_| {});
        let old = site.get("/s/a.txt");
        assert_eq!(old.text(), "abcdefghijklmnopqrstuvwxyz");
        site.folder.file("site/a.txt", "changed");
        let now = site.get("/s/a.txt");
        assert_eq!(now.text() == "changed", at_once, "cache_ms = {cache_ms}");
        assert_eq!(now.field("etag") != old.field("etag"), at_once);
        fs::remove_file(site.folder.at("site/a.txt")).unwrap();
        assert_eq!(site.get("/s/a.txt").status == 404, at_once, "cache_ms = {cache_ms}");
    }
}

#[test]
fn what_is_in_memory_is_looked_at_again() {
    let site = Site::app(&[("cache_ms", "1")], &StaticOptions::default(), |_| {});
    let first = site.get("/s/a.txt");
    let await_change = |what: &str, changed: &dyn Fn(&Answer) -> bool| {
        let end = Instant::now() + PATIENCE;
        while !changed(&site.get("/s/a.txt")) {
            assert!(Instant::now() < end, "{what} was never seen");
        }
    };
    for _ in 0..20 {
        assert_eq!(site.get("/s/a.txt").field("etag"), first.field("etag"), "the same state, the same tag");
    }
    site.folder.file("site/a.txt", "changed, and with another length");
    await_change("a change", &|answer| answer.text() == "changed, and with another length");
    site.folder.file("site/a.txt", "Changed, and with another length");
    await_change("a change of the same length", &|answer| answer.text().starts_with("Changed"));
    site.folder.file("site/a.txt.gz", "coded");
    await_change("a new coding", &|answer| answer.field("vary").is_some());
    fs::remove_file(site.folder.at("site/a.txt.gz")).unwrap();
    await_change("a coding that went", &|answer| answer.field("vary").is_none());
    fs::remove_file(site.folder.at("site/a.txt")).unwrap();
    await_change("a removal", &|answer| answer.status == 404);
    site.folder.file("site/a.txt", "back");
    await_change("a return", &|answer| answer.text() == "back");
}

#[test]
fn a_file_that_has_just_changed_is_not_kept() {
    let site = Site::app(&[("cache_ms", "60000")], &StaticOptions::default(), |_| {});
    for number in 0..20 {
        site.folder.new_file("site/busy.txt", format!("{number:02}"));
        assert_eq!(site.get("/s/busy.txt").text(), format!("{number:02}"));
    }
}

#[test]
fn a_folder_may_be_replaced_by_renaming() {
    for walk in [false, true] {
        let options = StaticOptions { walk, ..StaticOptions::default() };
        let site = Site::app(&[("cache_ms", "1")], &options, |_| {});
        assert_eq!(site.get("/s/a.txt").status, 200);
        site.folder.file("next/b.txt", "the next release");
        fs::rename(site.folder.at("site"), site.folder.at("before")).unwrap();
        fs::rename(site.folder.at("next"), site.folder.at("site")).unwrap();
        let end = Instant::now() + PATIENCE;
        while site.get("/s/b.txt").text() != "the next release" || site.get("/s/a.txt").status != 404 {
            assert!(Instant::now() < end, "the new folder was never seen");
        }
    }
}

#[test]
fn a_folder_that_goes_away_is_404_until_it_is_back() {
    let site = Site::app(&[("cache_ms", "1")], &StaticOptions::default(), |_| {});
    assert_eq!(site.get("/s/a.txt").status, 200);
    let await_status = |status: u16| {
        let end = Instant::now() + PATIENCE;
        while site.get("/s/a.txt").status != status {
            assert!(Instant::now() < end, "{status} never came");
        }
    };
    fs::rename(site.folder.at("site"), site.folder.at("away")).unwrap();
    await_status(404);
    fs::rename(site.folder.at("away"), site.folder.at("site")).unwrap();
    await_status(200);
}

#[test]
fn many_clients_see_whole_states_of_a_file_that_changes() {
    let site = Site::app(&[("cache_ms", "1")], &StaticOptions::default(), |_| {});
    let letters = |letter: u8| vec![letter; 20_000];
    let replace = |letter: u8| {
        let next = site.folder.file("site/next", letters(letter));
        fs::rename(next, site.folder.at("site/letters")).unwrap();
    };
    replace(b'a');
    let address = site.server.address();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || {
                    let mut client = Client::connect(address);
                    for _ in 0..300 {
                        client.send(get("/s/letters"));
                        let answer = client.answer();
                        assert_eq!((answer.status, answer.body.len()), (200, 20_000));
                        assert!(answer.body.iter().all(|byte| *byte == answer.body[0]), "two states in one answer");
                    }
                })
            })
            .collect();
        let mut letter = 0;
        while readers.iter().any(|reader| !reader.is_finished()) {
            letter = (letter + 1) % 26;
            replace(b'a' + letter);
            std::thread::yield_now();
        }
    });
}

#[test]
fn a_file_that_is_written_anew_in_place_is_never_an_error() {
    for cache_ms in ["0", "1"] {
        let site = Site::app(&[("cache_ms", cache_ms)], &StaticOptions::default(), |_| {});
        let path = site.folder.new_file("site/log.txt", "0");
        let address = site.server.address();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut client = Client::connect(address);
                for _ in 0..2000 {
                    client.send(get("/s/log.txt"));
                    client.expect(200);
                }
            });
            let mut number = 0;
            while !reader.is_finished() {
                number += 1;
                // Cut to nothing first, and then written: readers see any length.
                fs::write(&path, "x".repeat(number % 5000)).unwrap();
            }
        });
    }
}

#[test]
fn more_files_than_memory_holds_are_all_served() {
    let site = Site::new();
    for number in 0..400_u32 {
        let mut bytes = pattern(60_000).to_vec();
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        site.folder.file(&format!("site/many/{number}"), bytes);
    }
    let mut client = site.server.connect();
    for round in 0..2 {
        for number in 0..400_u32 {
            client.send(get(&format!("/s/many/{number}")));
            let answer = client.answer();
            assert!(answer.body.len() == 60_000 && answer.body[..4] == number.to_le_bytes(), "{number} in round {round}");
        }
    }
}

// ---- registration

#[test]
fn a_folder_is_part_of_the_ordinary_routes() {
    let site = Site::app(&[], &StaticOptions::default(), |app| {
        app.get("/s/api", |_: &Request, response: &mut Response| response.send_text(b"a route")).unwrap();
        app.post("/s/a.txt", |_: &Request, response: &mut Response| response.send_text(b"posted")).unwrap();
    });
    assert_eq!(site.get("/s/api").text(), "a route");
    assert_eq!(site.ask("POST", "/s/a.txt", &[("Content-Length", "0")]).text(), "posted");
    assert_eq!(site.get("/s/a.txt").status, 405, "the pattern that fits best has no GET");
}

#[test]
fn the_root_can_be_a_folder_beside_routes() {
    let folder = Folder::new();
    folder.file("index.html", "index");
    folder.file("a/b.txt", "b");
    let app = App::new(hasty::Options::new()).unwrap();
    app.static_files("/", &folder.0, &StaticOptions::default()).unwrap();
    app.get("/hello", |_: &Request, response: &mut Response| response.send_text(b"hello")).unwrap();
    app.listen(None, 0).unwrap();
    let server = Server::of(app);
    for (target, status, body) in [("/", 200, "index"), ("/a/b.txt", 200, "b"), ("/hello", 200, "hello"), ("/index.html", 200, "index")] {
        let mut client = server.connect();
        client.send(get(target));
        let answer = client.answer();
        assert_eq!((answer.status, answer.text().as_str()), (status, body), "{target}");
    }
}

#[test]
fn what_cannot_be_served_is_refused_and_registers_nothing() {
    let folder = Folder::new();
    let file = folder.file("file", "");
    std::fs::create_dir(folder.at("docs")).unwrap();
    let default = StaticOptions::default;
    Server::app(&[], |app| {
        app.static_files("/taken", &folder.0, &default()).unwrap();
        app.get("/half/*rest", |_: &Request, _: &mut Response| Ok(())).unwrap();
        let with = |change: fn(&mut StaticOptions)| {
            let mut options = default();
            change(&mut options);
            options
        };
        for (prefix, directory, options, kind, words) in [
            ("/a", &folder.at("none"), default(), hasty::Kind::Io, "none\": No such file"),
            ("/a", &file, default(), hasty::Kind::Io, "Not a directory"),
            ("/taken", &folder.0, default(), hasty::Kind::Invalid, "conflicts with GET \"/taken\""),
            ("/taken/", &folder.0, default(), hasty::Kind::Invalid, "conflicts with GET \"/taken\""),
            ("/half", &folder.0, default(), hasty::Kind::Invalid, "\"/half/*\" conflicts with GET \"/half/*rest\""),
            ("a", &folder.0, default(), hasty::Kind::Invalid, "prefix \"a\""),
            ("", &folder.0, default(), hasty::Kind::Invalid, "prefix \"\""),
            ("/a/*", &folder.0, default(), hasty::Kind::Invalid, "/a/*"),
            ("/a", &folder.0, with(|options| options.index = "a/b".to_owned()), hasty::Kind::Invalid, "index \"a/b\""),
            ("/a", &folder.0, with(|options| options.index = "..".to_owned()), hasty::Kind::Invalid, "index \"..\""),
            ("/a", &folder.0, with(|options| options.fallback = Some("../x".to_owned())), hasty::Kind::Invalid, "fallback \"../x\""),
            ("/a", &folder.0, with(|options| options.fallback = Some(String::new())), hasty::Kind::Invalid, "fallback \"\""),
            ("/a", &folder.0, with(|options| options.fallback = Some("none.html".to_owned())), hasty::Kind::Io, "fallback \"none.html\""),
            ("/a", &folder.0, with(|options| options.fallback = Some("docs".to_owned())), hasty::Kind::Invalid, "not a regular file"),
            ("/a", &folder.0, with(|options| options.cache_control = Some("a\r\nb".to_owned())), hasty::Kind::Invalid, "cache_control"),
        ] {
            let error = app.static_files(prefix, directory, &options).expect_err(prefix);
            assert_eq!(error.kind(), kind, "{error}");
            assert!(error.to_string().contains(words), "{error}");
        }
        // What was refused has left nothing behind.
        app.get("/half", |_: &Request, _: &mut Response| Ok(())).expect("free");
        app.static_files("/a", &folder.0, &default()).expect("free");
    });
}

#[test]
fn errors_of_files_are_shaped_like_all_others() {
    let site = Site::app(&[], &StaticOptions::default(), |app| {
        let shape = |why: &Error, _: &Request, response: &mut Response| response.send_text(format!("shaped: {why}").as_bytes());
        app.on_error(Box::new(shape)).unwrap();
    });
    assert_eq!(site.get("/s/none").text(), "shaped: there is no such file");
    let answer = site.ask("GET", "/s/a.txt", &[("Range", "bytes=99-")]);
    assert_eq!((answer.status, answer.field("content-range")), (416, Some("bytes */26")));
    assert!(answer.text().starts_with("shaped: "));
    assert_eq!(site.ask("GET", "/s/a.txt", &[("If-Match", "\"x\"")]).status, 412);
}

// ---- send_file and send_download

fn sender(folder: &Folder, routes: impl FnOnce(&App)) -> Server {
    let (text, large) = (folder.file("a.txt", "abcdefghijklmnopqrstuvwxyz"), folder.file("large.bin", pattern(1 << 20)));
    Server::start(&[], |app| {
        let path = text.clone();
        app.get("/file", move |_: &Request, response: &mut Response| response.send_file(&path)).unwrap();
        app.get("/large", move |_: &Request, response: &mut Response| response.send_file(&large)).unwrap();
        app.get("/download", move |_: &Request, response: &mut Response| response.send_download(&text, Some("Über.pdf".as_bytes())))
            .unwrap();
        routes(app);
    })
}

fn ask(server: &Server, method: &str, target: &str, fields: &[(&str, &str)]) -> Answer {
    let mut client = server.connect();
    client.send(request(method, target, fields));
    if method == "HEAD" { client.answer_to_head() } else { client.answer() }
}

#[test]
fn a_handler_sends_files() {
    let folder = Folder::new();
    let server = sender(&folder, |_| {});
    let answer = ask(&server, "GET", "/file", &[]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "abcdefghijklmnopqrstuvwxyz"));
    assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    let tag = answer.field("etag").unwrap().to_owned();
    assert_eq!(ask(&server, "GET", "/file", &[("If-None-Match", &tag)]).status, 304);
    let part = ask(&server, "GET", "/file", &[("Range", "bytes=-2"), ("If-Range", &tag)]);
    assert_eq!((part.status, part.text().as_str(), part.field("content-range")), (206, "yz", Some("bytes 24-25/26")));
    assert_eq!(ask(&server, "GET", "/file", &[("Range", "bytes=30-")]).field("content-range"), Some("bytes */26"));
    assert_eq!(ask(&server, "HEAD", "/file", &[]).field("content-length"), Some("26"));
    assert!(ask(&server, "GET", "/large", &[]).body == pattern(1 << 20));
    assert!(ask(&server, "GET", "/large", &[("Range", "bytes=100000-899999")]).body == pattern(1 << 20)[100_000..900_000]);
    assert_eq!(ask(&server, "HEAD", "/large", &[]).field("content-length"), Some("1048576"));
}

#[test]
fn a_download_has_a_name() {
    let folder = Folder::new();
    let path = folder.file("plain.csv", "1,2");
    let server = sender(&folder, |app| {
        app.get("/plain", move |_: &Request, response: &mut Response| response.send_download(&path, None)).unwrap();
    });
    let answer = ask(&server, "GET", "/download", &[]);
    assert_eq!(answer.field("content-disposition"), Some("attachment; filename=\"_ber.pdf\"; filename*=UTF-8''%C3%9Cber.pdf"));
    assert_eq!(answer.field("content-type"), Some("application/pdf"));
    let answer = ask(&server, "GET", "/plain", &[]);
    assert_eq!(answer.field("content-disposition"), Some("attachment; filename=\"plain.csv\""));
    assert_eq!(answer.field("content-type"), Some("text/csv; charset=utf-8"));
}

#[test]
fn what_the_handler_says_of_a_file_counts() {
    let folder = Folder::new();
    let path = folder.file("b.txt", "abcd");
    let (one, two, three, four) = (path.clone(), path.clone(), path.clone(), path.clone());
    let server = sender(&folder, |app| {
        app.get("/own", move |_: &Request, response: &mut Response| {
            response.set_type(b"text/x-own")?;
            response.send_file(&one)?;
            response.set_header(b"ETag", b"\"mine\"")?;
            response.set_header(b"Cache-Control", b"no-store")
        })
        .unwrap();
        app.get("/error", move |_: &Request, response: &mut Response| {
            response.set_status(404)?;
            response.send_file(&two)
        })
        .unwrap();
        app.get("/replaced", move |_: &Request, response: &mut Response| {
            response.send_download(&three, None)?;
            response.send_text(b"text")
        })
        .unwrap();
        app.post("/posted", move |_: &Request, response: &mut Response| response.send_file(&four)).unwrap();
    });
    let answer = ask(&server, "GET", "/own", &[]);
    assert_eq!((answer.field("content-type"), answer.all("etag")), (Some("text/x-own"), vec!["\"mine\""]));
    assert_eq!(ask(&server, "GET", "/own", &[("If-None-Match", "\"mine\"")]).status, 304);
    assert_eq!(ask(&server, "GET", "/own", &[("If-None-Match", "\"mine\"")]).field("cache-control"), Some("no-store"));
    let answer = ask(&server, "GET", "/error", &[("If-None-Match", "*"), ("Range", "bytes=0-0")]);
    assert_eq!((answer.status, answer.text().as_str(), answer.field("etag")), (404, "abcd", None), "conditions are about a 200");
    let answer = ask(&server, "GET", "/replaced", &[("Range", "bytes=0-0")]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "text"));
    for field in ["etag", "last-modified", "accept-ranges", "content-disposition"] {
        assert_eq!(answer.field(field), None, "{field} was the file's");
    }
    assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
    let answer = ask(&server, "POST", "/posted", &[("Content-Length", "0"), ("If-None-Match", "*"), ("Range", "bytes=0-0")]);
    assert_eq!((answer.status, answer.text().as_str()), (200, "abcd"));
}

#[test]
fn a_length_that_the_handler_sets_is_the_whole_files() {
    let folder = Folder::new();
    let path = folder.file("b.txt", "abcd");
    let server = sender(&folder, |app| {
        app.get("/told", move |_: &Request, response: &mut Response| {
            response.set_header(b"Content-Length", b"4")?;
            response.send_file(&path)
        })
        .unwrap();
    });
    for (field, status, body) in [
        (("A", "b"), 200, "abcd"),
        (("Range", "bytes=1-2"), 206, "bc"),
        (("If-None-Match", "*"), 304, ""),
        (("If-Match", "\"other\""), 412, "412 Precondition Failed"),
        (("Range", "bytes=9-"), 416, "416 Range Not Satisfiable"),
    ] {
        let answer = ask(&server, "GET", "/told", &[field]);
        assert_eq!(answer.status, status, "{field:?}: {answer:?}");
        assert!(answer.text().starts_with(body), "{field:?}: {answer:?}");
    }
}

#[test]
fn conditions_are_judged_by_the_date_that_the_handler_sets() {
    let folder = Folder::new();
    let path = folder.file("b.txt", "abcd");
    set_age(&path, 100);
    let server = sender(&folder, |app| {
        app.get("/told", move |_: &Request, response: &mut Response| {
            response.send_file(&path)?;
            response.set_header(b"Last-Modified", b"Sun, 06 Nov 1994 08:49:37 GMT")
        })
        .unwrap();
    });
    for (name, date, status) in [
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 200),
        ("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 304),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT", 412),
        ("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:37 GMT", 200),
    ] {
        assert_eq!(ask(&server, "GET", "/told", &[(name, date)]).status, status, "{name}: {date}");
    }
    // It may have been set more often than once in its second.
    let ranged = [("Range", "bytes=1-2"), ("If-Range", "Sun, 06 Nov 1994 08:49:37 GMT")];
    assert_eq!(ask(&server, "GET", "/told", &ranged).status, 200);
}

#[test]
fn another_body_in_the_place_of_a_settled_file_leaves_nothing_of_it() {
    let folder = Folder::new();
    let server = sender(&folder, |app| {
        let replace = |request: &Request, response: &mut Response| {
            if request.query_string().is_some() {
                response.set_header(b"ETag", b"\"mine\"")?;
            }
            response.send_text(b"in place of the file")
        };
        app.after("/", Box::new(replace)).unwrap();
    });
    for (method, target) in [("GET", "/file"), ("HEAD", "/file"), ("GET", "/large"), ("GET", "/download"), ("GET", "/file?tag")] {
        for field in [("A", "b"), ("Range", "bytes=0-3"), ("Range", "bytes=0-0,2-3"), ("If-None-Match", "*")] {
            let answer = ask(&server, method, target, &[field]);
            assert_eq!((answer.status, answer.field("content-length")), (200, Some("20")), "{method} {target} {field:?}");
            assert_eq!(answer.text(), if method == "HEAD" { "" } else { "in place of the file" });
            assert_eq!(answer.field("content-type"), Some("text/plain; charset=utf-8"));
            for gone in ["content-range", "accept-ranges", "last-modified", "content-disposition"] {
                assert_eq!(answer.field(gone), None, "{method} {target} {field:?} {gone}");
            }
            assert_eq!(answer.field("etag"), target.contains("tag").then_some("\"mine\""));
        }
    }
}

#[test]
fn a_file_that_cannot_be_sent_is_the_handlers_error() {
    let folder = Folder::new();
    let fifo = folder.at("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let (none, dir) = (folder.at("none"), folder.0.clone());
    let mut logs = None;
    let server = sender(&folder, |app| {
        logs = Some(Logs::of(app));
        for (pattern, path, kind) in
            [("/none", none, hasty::Kind::NotFound), ("/dir", dir, hasty::Kind::Invalid), ("/fifo", fifo, hasty::Kind::Invalid)]
        {
            let other = path.clone();
            app.get(pattern, move |_: &Request, response: &mut Response| response.send_file(&path)).unwrap();
            app.get(&format!("{pattern}/caught"), move |_: &Request, response: &mut Response| {
                assert_eq!(response.send_file(&other).unwrap_err().kind(), kind);
                response.reset()?;
                response.set_status(410)?;
                response.send_text(b"gone for good")
            })
            .unwrap();
        }
    });
    for target in ["/none", "/dir", "/fifo"] {
        assert_eq!(ask(&server, "GET", target, &[]).status, 500, "{target}");
        assert_eq!(ask(&server, "GET", &format!("{target}/caught"), &[]).status, 410, "{target}");
    }
    let errors = logs.expect("a log").errors();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("none\": No such file"), "{errors:?}");
}

#[test]
fn a_page_for_errors_can_be_a_file() {
    let folder = Folder::new();
    let page = folder.file("404.html", "<p>there is nothing here</p>");
    let app = App::new(hasty::Options::new()).unwrap();
    app.static_files("/", &folder.0, &StaticOptions::default()).unwrap();
    app.on_error(Box::new(move |_: &Error, _: &Request, response: &mut Response| response.send_file(&page))).unwrap();
    app.listen(None, 0).unwrap();
    let server = Server::of(app);
    for fields in [&[][..], &[("Range", "bytes=0-0")], &[("If-None-Match", "*")], &[("If-Match", "\"x\"")]] {
        // The rules for error answers of these tests want text.
        let mut client = server.connect();
        client.send(request("HEAD", "/none", fields));
        let head = client.answer_to_head();
        assert_eq!((head.status, head.field("content-length"), head.field("etag")), (404, Some("28"), None), "{fields:?}");
        assert_eq!(head.field("content-type"), Some("text/html; charset=utf-8"));
        client.send(request("GET", "/404.html", &[("Range", "bytes=3-7")]));
        assert_eq!(client.answer().text(), "there");
    }
}

// ---- large files

/// The bytes of memory that this process has in use.
fn memory_in_use() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("a status");
    let line = status.lines().find(|line| line.starts_with("RssAnon")).expect("a line about memory");
    1024 * line.split_whitespace().nth(1).expect("a number").parse::<u64>().expect("a number")
}

#[test]
fn ten_gibibytes_take_no_memory() {
    let site = Site::new();
    let file = File::create(site.folder.at("site/huge.bin")).unwrap();
    file.set_len(10 << 30).unwrap();
    drop(file);
    assert_eq!(site.ask("HEAD", "/s/huge.bin", &[]).field("content-length"), Some("10737418240"));
    let end = site.ask("GET", "/s/huge.bin", &[("Range", "bytes=-5")]);
    assert_eq!((end.status, end.field("content-range")), (206, Some("bytes 10737418235-10737418239/10737418240")));
    // A client that reads a part and then no more, one that leaves, and one that goes on.
    let before = memory_in_use();
    let mut clients: Vec<Client> = (0..8).map(|_| site.server.connect()).collect();
    for client in &mut clients {
        client.send(get("/s/huge.bin"));
    }
    let mut buffer = vec![0; 1 << 20];
    for client in &mut clients {
        let mut read = 0;
        while read < 32 << 20 {
            read += std::io::Read::read(&mut client.tcp(), &mut buffer).expect("it goes on");
        }
    }
    let more = memory_in_use().saturating_sub(before);
    assert!(more < 32 << 20, "{more} bytes for 8 clients");
    clients.truncate(4);
    site.server.expect_alive();
}

#[test]
fn a_file_that_shrinks_ends_the_connection() {
    let site = Site::new();
    let path = site.folder.file("site/shrinks.bin", pattern(8 << 20));
    let mut client = site.server.connect();
    client.send(get("/s/shrinks.bin"));
    // Enough for the head to be there, and far less than all.
    let mut first = [0; 100];
    std::io::Read::read_exact(&mut client.tcp(), &mut first).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    let rest = client.read_until_gone().expect("it ends, and does not hang");
    assert!(first.len() + rest.len() < 8 << 20, "nothing is made up");
    site.server.expect_alive();
}

#[test]
fn a_file_that_grows_is_sent_as_it_was() {
    let site = Site::new();
    let path = site.folder.file("site/grows.bin", pattern(4 << 20));
    let mut client = site.server.connect();
    client.send(get("/s/grows.bin"));
    File::options().append(true).open(&path).unwrap().write_all(&[b'x'; 1000]).unwrap();
    client.send(get("/s/a.txt"));
    let answer = client.answer();
    assert!(answer.body.len() == (4 << 20) || answer.body.len() == (4 << 20) + 1000);
    assert!(answer.body[..4 << 20] == *pattern(4 << 20));
    assert_eq!(client.answer().text(), "abcdefghijklmnopqrstuvwxyz");
}
