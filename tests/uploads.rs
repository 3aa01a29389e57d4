//! Bodies that come in: forms with files, and bodies that handlers read themselves.

mod support;

use hasty::{App, Error, Kind, Request, Response};
use parking_lot::Mutex;
use socket2::SockRef;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{Answer, Client, Gate, Logs, Opened, PATIENCE, Random, Server, await_that, get, pattern, post, shown};
use tempfile::TempDir;

/// Takes a body apart and tells what is in it.
fn describe(request: &Request, response: &mut Response) -> hasty::Result<()> {
    let mut text = String::new();
    let fields = request.form();
    for number in 0..fields.len() {
        text += &format!("{}={};", shown(fields.name(number).unwrap_or_default()), shown(fields.value(number).unwrap_or_default()));
    }
    for file in request.files() {
        let content = match (file.data(), file.path()) {
            (Some(data), None) => data.to_vec(),
            (None, Some(path)) => fs::read(path.to_str().expect("UTF-8")).map_err(|error| Error::io("read", &error))?,
            other => panic!("content is either here or there: {other:?}"),
        };
        assert_eq!(file.length(), content.len() as u64);
        let place = if file.path().is_some() { "spooled" } else { "memory" };
        let kind = file.content_type().map(|kind| kind.to_string());
        text += &format!("{}:{}:{kind:?}:{place}:{};", file.name(), file.filename(), sum(&content));
    }
    response.send_text(format!("{text}{}", request.body().len()).as_bytes())
}

/// A number that shows a change in what is long.
fn sum(bytes: &[u8]) -> String {
    let mut sum = 7_u64;
    for byte in bytes {
        sum = sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
    }
    format!("{}-{sum:x}", bytes.len())
}

fn field(name: &str, value: &str) -> Vec<u8> {
    format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").into_bytes()
}

fn file(name: &str, filename: &str, content: &[u8]) -> Vec<u8> {
    let head =
        format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{filename}\"\r\nContent-Type: text/x-test\r\n\r\n");
    [head.as_bytes(), content, b"\r\n"].concat()
}

fn form(parts: &[Vec<u8>]) -> Vec<u8> {
    [&parts.concat()[..], b"--b--\r\n"].concat()
}

fn head(target: &str, fields: &str) -> Vec<u8> {
    format!("POST {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

fn upload(target: &str, body: &[u8]) -> Vec<u8> {
    let fields = format!("Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n", body.len());
    [&head(target, &fields)[..], body].concat()
}

fn chunked(target: &str, body: &[u8], size: usize) -> Vec<u8> {
    let mut request = head(target, "Content-Type: multipart/form-data; boundary=b\r\nTransfer-Encoding: chunked\r\n");
    for chunk in body.chunks(size) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    request
}

/// A server that puts files aside in a folder of its own.
struct Place {
    server: Server,
    folder: TempDir,
}

impl Place {
    fn new(options: &[(&str, &str)], more: impl FnOnce(&App)) -> Place {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let path = folder.path().to_str().expect("UTF-8").to_owned();
        let options = [options, &[("spool_directory", &*path)]].concat();
        let server = Server::start(&options, |app| {
            app.post("/form", describe).expect("new");
            more(app);
        });
        Place { server, folder }
    }

    fn names(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.folder).expect("the folder is there").map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Nothing is left of what was put aside.
    #[track_caller]
    fn expect_empty(&self) {
        await_that("the folder is empty", || self.names().is_empty());
    }

    #[track_caller]
    fn ask(&self, request: impl AsRef<[u8]>) -> Answer {
        let mut client = self.server.connect();
        client.send(request);
        client.answer()
    }
}

#[test]
fn a_small_form_stays_in_memory_beside_its_raw_body() {
    let place = Place::new(&[], |_| {});
    let body =
        form(&[field("a", "1"), file("f", "x y.txt", b"content"), field("a", "\u{e4}\0"), file("f", "", b""), file("g", "empty", b"")]);
    for request in [upload("/form", &body), chunked("/form", &body, 7), chunked("/form", &body, 1000)] {
        let expected = format!(
            "a=1;a=\\xc3\\xa4\\x00;f:x y.txt:Some(\"text/x-test\"):memory:{};g:empty:Some(\"text/x-test\"):memory:{};{}",
            sum(b"content"),
            sum(b""),
            body.len()
        );
        assert_eq!(place.ask(request).text(), expected);
    }
    place.expect_empty();
}

#[test]
fn a_large_form_is_left_as_it_came_where_the_route_wants_it_whole() {
    let place = Place::new(&[("spool_bytes", "10000")], |app| {
        app.post("/whole", |request: &Request, response: &mut Response| response.send_text(sum(&request.body()).as_bytes())).expect("new");
        app.set_route_option("POST", "/whole", "body", "whole").expect("an option");
    });
    let body = form(&[field("a", "1"), file("big", "big.bin", pattern(1 << 20))]);
    for request in [upload("/whole", &body), chunked("/whole", &body, 100_000)] {
        assert_eq!(place.ask(request).text(), sum(&body));
    }
    place.expect_empty();
}

#[test]
fn a_large_file_is_put_aside_and_gone_with_its_request() {
    let gate = Gate::new();
    let place = Place::new(&[("spool_bytes", "10000")], |app| {
        let gate = gate.clone();
        app.post("/wait", move |request: &Request, response: &mut Response| {
            let outcome = describe(request, response);
            gate.pass();
            outcome
        })
        .expect("new");
    });
    let _opened = Opened(gate.clone());
    let content = pattern(3 << 20);
    let body = form(&[field("a", "1"), file("big", "big.bin", content), file("small", "s", b"small"), field("b", "2")]);
    let expected = format!(
        "a=1;b=2;big:big.bin:Some(\"text/x-test\"):spooled:{};small:s:Some(\"text/x-test\"):memory:{};0",
        sum(content),
        sum(b"small")
    );
    let mut client = place.server.connect();
    client.send(upload("/wait", &body));
    gate.await_arrivals(1);
    let names = place.names();
    assert_eq!(names.len(), 1, "{names:?}");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&names[0]).expect("it is there").permissions());
    assert_eq!(mode & 0o077, 0, "others must not read it");
    gate.open();
    assert_eq!(client.expect(200).text(), expected);
    place.expect_empty();
    client.send([chunked("/form", &body, 100_000), get("/")].concat());
    assert_eq!(client.expect(200).text(), expected);
    assert_eq!(client.expect(200).text(), "root");
    place.expect_empty();
}

#[test]
fn a_form_is_the_same_wherever_it_is_cut() {
    let place = Place::new(&[("threads", "1"), ("spool_bytes", "40")], |_| {});
    let content = b"\r\n--a is not the end\r\n--\r\n-\r--b--\n\r\n--".repeat(2);
    let body = form(&[field("a", "1"), file("f", "f.txt", &content), field("b", "\r\n-")]);
    let expected = format!("a=1;b=\\r\\n-;f:f.txt:Some(\"text/x-test\"):spooled:{};0", sum(&content));
    let mut other = place.server.connect();
    for request in [upload("/form", &body), chunked("/form", &body, 19)] {
        let head_end = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
        let mut client = place.server.connect();
        for at in head_end..request.len() {
            client.send(&request[..at]);
            // The only thread answers another: it has seen the first piece.
            other.send(get("/"));
            other.expect(200);
            client.send(&request[at..]);
            assert_eq!(client.expect(200).text(), expected, "cut at {at}: {}", shown(&request[..at]));
        }
    }
    place.expect_empty();
}

#[test]
fn a_form_in_random_pieces_is_the_same() {
    let place = Place::new(&[("spool_bytes", "20000")], |_| {});
    let body = form(&[
        file("x", "x", pattern(15_000)),
        file("y", "y", pattern(60_000)),
        field("a", &"v".repeat(4000)),
        file("z", "z", pattern(10)),
    ]);
    let expected = place.ask(upload("/form", &body)).text();
    assert!(expected.contains("y:y:Some(\"text/x-test\"):spooled:"), "{expected}");
    let mut random = Random::new(6);
    for turn in 0..30 {
        let request = if turn % 2 == 0 { upload("/form", &body) } else { chunked("/form", &body, 1 + random.below(9000)) };
        let mut client = place.server.connect();
        let mut rest = &request[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at((1 + random.below(6000)).min(rest.len()));
            client.send(piece);
            rest = left;
        }
        assert_eq!(client.expect(200).text(), expected);
    }
    place.expect_empty();
}

/// What was kept of a file that then grew too large is room for others again.
#[test]
fn files_that_were_put_aside_leave_the_memory_to_others() {
    let place = Place::new(&[("threads", "1"), ("spool_bytes", "10000")], |_| {});
    let request =
        upload("/form", &form(&[file("large", "l", pattern(50_000)), file("fits", "f", pattern(9_000)), file("not", "n", pattern(2_000))]));
    let head_end = request.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let mut client = place.server.connect();
    // So much of the body that it is read as it comes from here on, with less than 10,000 bytes of the first file.
    client.send(&request[..head_end + 10_040]);
    place.server.expect_alive();
    client.send(&request[head_end + 10_040..]);
    let text = client.expect(200).text();
    let places: Vec<_> = text.split(';').filter_map(|part| part.split(':').nth(3)).collect();
    assert_eq!(places, ["spooled", "memory", "spooled"], "{text}");
    place.expect_empty();
}

#[test]
fn all_bytes_of_a_form_are_counted_wherever_they_went() {
    let counts: Arc<Mutex<Vec<u64>>> = Arc::default();
    let place = Place::new(&[("spool_bytes", "1000")], |app| {
        let counts = Arc::clone(&counts);
        app.on_access(Box::new(move |record: &hasty::AccessRecord<'_>| counts.lock().push(record.bytes_in))).expect("before start");
    });
    for length in [10, 900, 5000, 1_000_000] {
        let request = upload("/form", &form(&[file("f", "f", pattern(length))]));
        place.ask(&request);
        await_that("a record", || !counts.lock().is_empty());
        assert_eq!(counts.lock().drain(..).collect::<Vec<_>>(), [request.len() as u64], "a file of {length} bytes");
    }
}

#[test]
fn what_came_of_an_upload_that_ends_early_is_counted() {
    let counts: Arc<Mutex<Vec<(u16, u64)>>> = Arc::default();
    let place = Place::new(&[("spool_bytes", "1000"), ("max_body_bytes", "10000000")], |app| {
        let counts = Arc::clone(&counts);
        let log = move |record: &hasty::AccessRecord<'_>| counts.lock().push((record.status, record.bytes_in));
        app.on_access(Box::new(log)).expect("before start");
    });
    let expect = |status: u16, sent: &[u8]| {
        let mut client = place.server.connect();
        client.send(sent);
        client.half_close();
        client.expect(status);
        await_that("a record", || !counts.lock().is_empty());
        assert_eq!(counts.lock().drain(..).collect::<Vec<_>>(), [(status, sent.len() as u64)]);
    };
    let request = upload("/form", &form(&[file("f", "f", pattern(100_000))]));
    for length in [600, 90_000] {
        expect(400, &request[..length]);
    }
    // Wrong at its end, and no more comes.
    let body = [&file("f", "f", pattern(5000))[..], b"--b-\r\n"].concat();
    expect(400, &upload("/form", &body));
    let plain = head("/form", "Content-Length: 1000\r\n");
    expect(400, &[&plain[..], pattern(700)].concat());
}

fn malformed() -> Vec<Vec<u8>> {
    let good = form(&[field("a", "1"), file("f", "f", b"content")]);
    let without_end = &good[..good.len() - 8];
    [
        b"".to_vec(),
        b"no boundary at all".to_vec(),
        without_end.to_vec(),
        good[..good.len() / 2].to_vec(),
        b"--b\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--b--\r\n".to_vec(),
        b"--b\r\nContent-Type: text/plain\r\n\r\nwithout disposition\r\n--b--\r\n".to_vec(),
        b"--b\r\nContent-Disposition: form-data; name=\"a\"\n\nbare\r\n--b--\r\n".to_vec(),
        b"--bContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n".to_vec(),
        b"--b\r\nContent-Disposition : form-data; name=\"a\"\r\n\r\nx\r\n--b--\r\n".to_vec(),
    ]
    .to_vec()
}

#[test]
fn a_malformed_form_is_400_large_or_small_and_leaves_nothing() {
    for spool_bytes in ["262144", "10"] {
        let mut logs = Logs::default();
        let place = Place::new(&[("spool_bytes", spool_bytes)], |app| logs = Logs::of(app));
        for body in malformed() {
            for request in [upload("/form", &body), chunked("/form", &body, 11)] {
                let answer = place.ask(&request);
                assert_eq!(answer.status, 400, "spool_bytes {spool_bytes}: {}: {answer:?}", shown(&body));
            }
        }
        // Large, and wrong at its end only.
        let body = [&file("f", "f", pattern(1 << 20))[..], b"--b-\r\n"].concat();
        let answer = place.ask(upload("/form", &body));
        assert_eq!(answer.status, 400, "{answer:?}");
        for kind in ["", "; boundary=", "; boundary=\"a b \"", "; boundary=b; boundary=c"] {
            let good = form(&[field("a", "1")]);
            let request = head("/form", &format!("Content-Type: multipart/form-data{kind}\r\nContent-Length: {}\r\n", good.len()));
            let answer = place.ask([request, good].concat());
            assert_eq!(answer.status, 400, "{kind:?}: {answer:?}");
        }
        place.expect_empty();
        place.server.expect_alive();
        assert_eq!(logs.errors(), Vec::<String>::new(), "what clients do wrong is no error of the program");
    }
}

#[test]
fn a_handler_that_asks_for_the_status_answers_itself() {
    let place = Place::new(&[], |app| {
        app.post("/ask", |request: &Request, response: &mut Response| match request.form_status() {
            Ok(()) => response.send_text(b"good"),
            Err(error) => {
                assert_eq!((error.kind(), request.form().len(), request.files().len()), (Kind::Invalid, 0, 0));
                response.set_status(422)?;
                response.send_text(format!("bad: {} bytes", request.body().len()).as_bytes())
            }
        })
        .expect("new");
        app.post("/raw", |request: &Request, response: &mut Response| response.send(request.body().bytes())).expect("new");
    });
    let body = b"--b\r\nhalf".as_slice();
    let answer = place.ask(upload("/ask", body));
    assert_eq!((answer.status, answer.text()), (422, format!("bad: {} bytes", body.len())));
    assert_eq!(place.ask(upload("/ask", &form(&[]))).text(), "good");
    assert_eq!(place.ask(post("/ask", b"no form")).text(), "good", "other bodies are no forms that could be malformed");
    // Who reads no form gets the bytes.
    assert_eq!(place.ask(upload("/raw", body)).body, body);
}

#[test]
fn too_much_of_anything_is_413() {
    let place = Place::new(&[("spool_bytes", "2000"), ("max_parts", "5"), ("max_body_bytes", "100000")], |_| {});
    let name = "n".repeat(20_000);
    for body in [
        form(&[field("a", &"v".repeat(3000))]),
        form(&[field(&name, "1")]),
        form(&[file("f", &name, b"1")]),
        form(&vec![field("a", &"1".repeat(600)); 6]),
        form(&vec![file("f", "f", pattern(600)); 6]),
        form(&vec![field("a", "1"); 6]),
        [&b"x".repeat(50_000)[..], b"\r\n", &form(&[field("a", "1")])].concat(),
        form(&[file("f", "f", pattern(200_000))]),
    ] {
        for request in [upload("/form", &body), chunked("/form", &body, 30_000)] {
            let answer = place.ask(&request);
            assert_eq!(answer.status, 413, "{}: {answer:?}", shown(&body));
        }
    }
    place.expect_empty();
    let most = form(&[file("f", "f", pattern(90_000)), field("a", &"v".repeat(1500)), field("b", ""), field("c", ""), field("d", "")]);
    assert_eq!(place.ask(upload("/form", &most)).status, 200);
    place.expect_empty();
}

#[test]
fn names_and_types_of_files_are_limited_together() {
    let place = Place::new(&[("spool_bytes", "1000000")], |_| {});
    let name = "n".repeat(800);
    for (count, status) in [(200, 200), (400, 413)] {
        let body = form(&vec![file("f", &name, b"1"); count]);
        assert_eq!(place.ask(upload("/form", &body)).status, status, "{count} files");
    }
    place.expect_empty();
}

#[test]
fn clients_that_leave_in_an_upload_leave_nothing_behind() {
    let place = Place::new(&[("spool_bytes", "1000"), ("body_timeout_ms", "3000")], |_| {});
    let body = form(&[file("f", "f", pattern(500_000)), file("g", "g", pattern(50_000))]);
    let request = upload("/form", &body);
    let mut random = Random::new(9);
    let mut silent = Vec::new();
    for turn in 0..60 {
        let mut client = place.server.connect();
        client.send(&request[..request.len() - 1 - random.below(400_000)]);
        match turn % 4 {
            0 => drop(client),
            1 => {
                SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
                drop(client);
            }
            2 => {
                client.half_close();
                client.expect(400);
            }
            _ => silent.push(client),
        }
    }
    assert!(!place.names().is_empty(), "the silent ones are waited for");
    for client in &mut silent {
        client.expect(408);
    }
    place.expect_empty();
    place.server.expect_alive();
    // So do those of an app that ends.
    let mut client = place.server.connect();
    client.send(&request[..400_000]);
    await_that("a file", || !place.names().is_empty());
    place.server.stop();
    place.server.wait(Some(PATIENCE)).expect("the app stops");
    let Place { server, folder } = place;
    drop(server);
    assert_eq!(fs::read_dir(&folder).expect("the folder is there").count(), 0);
}

#[test]
fn files_are_saved_under_names_that_the_program_chooses() {
    let target = tempfile::tempdir().expect("a folder can be made");
    let path = target.path().to_owned();
    let place = Place::new(&[("spool_bytes", "1000")], |app| {
        app.post("/save", move |request: &Request, response: &mut Response| {
            for file in request.files() {
                file.save(&path.join(&*file.name().to_string()))?;
            }
            for wrong in [path.clone(), path.join("none/x"), PathBuf::from("/"), PathBuf::from("/dev/null")] {
                assert!(request.files()[0].save(&wrong).is_err(), "{wrong:?}");
            }
            response.send_text(request.files()[0].filename().bytes())
        })
        .expect("new");
    });
    fs::write(target.path().join("small"), b"to be replaced").expect("a file");
    let body = form(&[file("big", "../../../etc/passwd", pattern(100_000)), file("small", "s", b"small")]);
    assert_eq!(place.ask(upload("/save", &body)).text(), "../../../etc/passwd", "a name is told as it was given");
    assert!(fs::read(target.path().join("big")).expect("saved") == pattern(100_000));
    assert_eq!(fs::read(target.path().join("small")).expect("saved"), b"small");
    assert_eq!(fs::read_dir(&target).expect("a folder").count(), 2, "nothing else is left");
    place.expect_empty();
}

#[test]
fn a_deferred_upload_keeps_its_files_until_it_is_finished() {
    let parked = Arc::new(Mutex::new(None));
    let place = Place::new(&[("spool_bytes", "1000")], |app| {
        let parked = Arc::clone(&parked);
        app.post("/later", move |request: &Request, response: &mut Response| {
            *parked.lock() = Some(response.defer(request)?);
            Ok(())
        })
        .expect("new");
    });
    let mut client = place.server.connect();
    client.send(upload("/later", &form(&[file("f", "f", pattern(100_000)), field("a", "1")])));
    await_that("the deferral", || parked.lock().is_some());
    let mut exchange = parked.lock().take().expect("it was there");
    place.server.expect_alive();
    assert_eq!(place.names().len(), 1);
    let (request, response) = exchange.parts();
    describe(request, response).expect("its files are there");
    exchange.finish().expect("the client waits");
    assert_eq!(client.expect(200).text(), format!("a=1;f:f:Some(\"text/x-test\"):spooled:{};0", sum(pattern(100_000))));
    place.expect_empty();
}

#[test]
fn a_spool_folder_that_cannot_be_written_to_is_500_and_logged() {
    let mut logs = Logs::default();
    let place = Place::new(&[("spool_bytes", "1000")], |app| logs = Logs::of(app));
    fs::remove_dir(place.folder.path()).expect("it is empty");
    let mut client = place.server.connect();
    client.send(upload("/form", &form(&[file("f", "f", pattern(100_000))])));
    let answer = client.expect(500);
    assert!(!answer.text().contains(&*place.folder.path().to_string_lossy()), "clients need not know the folder: {answer:?}");
    assert!(logs.complain_of("upload"), "{:?}", logs.errors());
    fs::create_dir(place.folder.path()).expect("it was there before");
    assert_eq!(place.ask(upload("/form", &form(&[file("f", "f", pattern(100_000))]))).status, 200);
}

/// Registers a route whose handler reads the body itself.
fn reading<F>(app: &App, path: &str, handle: F)
where
    F: Fn(&Request, &mut Response) -> hasty::Result<()> + Send + Sync + 'static,
{
    app.route("*", path, Box::new(handle)).expect("new");
    app.set_route_option("*", path, "body", "stream").expect("the route is there");
}

/// Reads all, in pieces of `most` bytes.
fn read_all(request: &Request, most: usize) -> hasty::Result<Vec<u8>> {
    let mut body = Vec::new();
    let mut piece = vec![0; most];
    loop {
        let count = request.read(&mut piece)?;
        body.extend_from_slice(&piece[..count]);
        if count == 0 {
            return Ok(body);
        }
    }
}

fn read_and_mirror(request: &Request, response: &mut Response) -> hasty::Result<()> {
    let body = read_all(request, 1000)?;
    assert_eq!(request.read(&mut [0; 10])?, 0, "the end stays the end");
    assert!(request.body().is_empty());
    response.send(&body)
}

fn plain_chunks(target: &str, body: &[u8], size: usize) -> Vec<u8> {
    let request = chunked(target, body, size);
    let text = b"Content-Type: multipart/form-data; boundary=b\r\n";
    let at = request.windows(text.len()).position(|window| window == text).expect("it has a type");
    [&request[..at], &request[at + text.len()..]].concat()
}

#[test]
fn a_handler_reads_its_body_whatever_the_framing() {
    let server = Server::start(&[], |app| reading(app, "/read", read_and_mirror));
    let mut client = server.connect();
    for length in [0, 1, 999, 1000, 1001, 70_000, 300_000] {
        for size in [1, 77, 65_536, 300_001] {
            if length / size > 3000 {
                continue;
            }
            client.send([plain_chunks("/read", pattern(length), size), get("/"), post("/read", pattern(length)), get("/read")].concat());
            assert!(client.expect(200).body == pattern(length), "{length} bytes in chunks of {size}");
            assert_eq!(client.expect(200).text(), "root");
            assert!(client.expect(200).body == pattern(length), "{length} bytes by length");
            assert_eq!(client.expect(200).text(), "", "no body is an empty one");
        }
    }
}

#[test]
fn a_handler_reads_a_body_that_comes_in_any_pieces() {
    let server = Server::start(&[("threads", "1")], |app| reading(app, "/read", read_and_mirror));
    let mut random = Random::new(11);
    let body = pattern(5000);
    for turn in 0..60 {
        let mut request = if turn % 2 == 0 { post("/read", body) } else { plain_chunks("/read", body, 1 + random.below(700)) };
        request.extend(get("/"));
        let mut client = server.connect();
        let mut rest = &request[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at((1 + random.below(900)).min(rest.len()));
            client.send(piece);
            rest = left;
            thread::yield_now();
        }
        assert!(client.expect(200).body == body, "turn {turn}");
        assert_eq!(client.expect(200).text(), "root", "turn {turn}");
    }
}

/// The resident memory of this process, in bytes.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/statm").expect("Linux");
    status.split(' ').nth(1).expect("the second number").parse::<usize>().expect("a number") * 4096
}

#[test]
fn a_gigabyte_passes_through_a_handler_in_constant_memory_at_its_speed() {
    const LENGTH: usize = 1 << 30;
    let gate = Gate::new();
    let most = Arc::new(AtomicUsize::new(0));
    let server = Server::start(&[("max_body_bytes", "2000000000")], |app| {
        let (gate, most) = (gate.clone(), Arc::clone(&most));
        reading(app, "/read", move |request: &Request, response: &mut Response| {
            let cycle = pattern(8 << 20);
            let mut piece = vec![0; 256 * 1024];
            let mut length = 0;
            loop {
                let count = request.read(&mut piece)?;
                if count == 0 {
                    break;
                }
                let at = length % cycle.len();
                let first = count.min(cycle.len() - at);
                assert!(piece[..first] == cycle[at..at + first] && piece[first..count] == cycle[..count - first], "at {length}");
                if length < 100 << 20 && length + count >= 100 << 20 {
                    gate.pass();
                }
                length += count;
                if length % 64 < 8 {
                    most.fetch_max(resident(), Ordering::SeqCst);
                }
            }
            response.send_text(length.to_string().as_bytes())
        });
    });
    let _opened = Opened(gate.clone());
    pattern(8 << 20);
    let before = resident();
    let mut client = server.connect();
    client.send(head("/read", &format!("Content-Length: {LENGTH}\r\n")));
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        let mut writer = client.tcp().try_clone().expect("a second handle");
        let counted = &sent;
        scope.spawn(move || {
            while counted.load(Ordering::SeqCst) < LENGTH {
                let at = counted.load(Ordering::SeqCst) % (8 << 20);
                writer.write_all(&pattern(8 << 20)[at..at + (64 << 10)]).expect("the server takes it");
                counted.fetch_add(64 << 10, Ordering::SeqCst);
            }
        });
        gate.await_arrivals(1);
        for _ in 0..50 {
            server.expect_alive();
        }
        let ahead = sent.load(Ordering::SeqCst);
        assert!(ahead < 200 << 20, "{ahead} bytes were taken of which the handler wanted 100 MiB");
        gate.open();
        assert_eq!(client.expect(200).text(), LENGTH.to_string());
    });
    let added = most.load(Ordering::SeqCst).saturating_sub(before);
    assert!(added < 200 << 20, "{added} bytes of memory");
    client.send(get("/"));
    client.expect(200);
}

#[test]
fn a_client_is_told_to_continue_at_the_first_read() {
    let gate = Gate::new();
    let server = Server::start(&[], |app| {
        let gate = gate.clone();
        reading(app, "/read", move |request: &Request, response: &mut Response| {
            gate.pass();
            read_and_mirror(request, response)
        });
        reading(app, "/refuse", |_: &Request, response: &mut Response| response.send_status(403));
    });
    let _opened = Opened(gate.clone());
    let mut clients = Vec::new();
    for fields in ["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut client = server.connect();
        // The answer before comes before.
        client.send([get("/"), head("/read", &format!("{fields}Expect: 100-continue\r\n"))].concat());
        clients.push((client, fields));
    }
    gate.await_arrivals(2);
    for (client, _) in &mut clients {
        assert_eq!(client.expect(200).text(), "root");
        server.expect_alive();
        assert!(client.take_what_came(), "nothing more is said before the handler reads");
    }
    gate.open();
    for (client, fields) in &mut clients {
        client.expect(100);
        client.send(if fields.starts_with("Content") { "hello" } else { "5\r\nhello\r\n0\r\n\r\n" });
        client.send(get("/"));
        assert_eq!(client.expect(200).text(), "hello");
        assert_eq!(client.expect(200).text(), "root");
    }
    // Who is there already need not be told, nor who speaks HTTP/1.0.
    let mut client = server.connect();
    client.send([head("/read", "Content-Length: 5\r\nExpect: 100-continue\r\n"), b"hello".to_vec()].concat());
    let mut answer = client.answer();
    if answer.status == 100 {
        answer = client.answer();
    }
    assert_eq!((answer.status, answer.text()), (200, "hello".to_owned()));
    let mut client = server.connect();
    client.send("POST /read HTTP/1.0\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    server.expect_alive();
    client.send("hello");
    assert_eq!(client.expect(200).text(), "hello");
    // A final answer without a read: the client may send the body or not, so the connection ends.
    let mut client = server.connect();
    client.send(head("/refuse", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    assert!(client.expect(403).says_close());
    client.expect_end();
}

/// A route that reads `?most=` bytes and answers with their number.
fn reading_some(app: &App) {
    reading(app, "/some", |request: &Request, response: &mut Response| {
        let most =
            request.query().get(b"most").and_then(|most| std::str::from_utf8(most).ok()).and_then(|most| most.parse().ok()).unwrap_or(0);
        let mut read = 0;
        let mut piece = vec![0; 5000];
        while read < most {
            let wanted = piece.len().min(most - read);
            match request.read(&mut piece[..wanted])? {
                0 => break,
                count => read += count,
            }
        }
        response.send_text(read.to_string().as_bytes())
    });
}

#[test]
fn what_a_handler_leaves_unread_is_skipped_up_to_256_kib() {
    let server = Server::start(&[], reading_some);
    let mut client = server.connect();
    for (length, most) in [(5, 0), (5, 3), (10_000, 9_999), (200_000, 0), (200_000, 100), (600_000, 400_000), (1000, 5000)] {
        for size in [0, 37_000] {
            let target = format!("/some?most={most}");
            let request = if size == 0 { post(&target, pattern(length)) } else { plain_chunks(&target, pattern(length), size) };
            client.send([request, get("/")].concat());
            let answer = client.expect(200);
            assert_eq!((answer.text(), answer.says_close()), (most.min(length).to_string(), false), "{length} bytes, {size}");
            assert_eq!(client.expect(200).text(), "root", "{length} bytes, {most} of them read, {size}");
        }
    }
    for most in [0, 100] {
        let mut client = server.connect();
        client.send(post(&format!("/some?most={most}"), pattern(3 << 20)));
        let answer = client.expect(200);
        assert_eq!((answer.text(), answer.says_close()), (most.to_string(), true));
        client.expect_end();
    }
}

#[test]
fn an_answer_may_come_before_the_body() {
    let server = Server::start(&[("max_body_bytes", "100000000")], reading_some);
    let mut client = server.connect();
    client.send(head("/some?most=0", "Content-Length: 100000\r\n"));
    assert_eq!(client.expect(200).text(), "0");
    client.send([pattern(100_000), &get("/")].concat());
    assert_eq!(client.expect(200).text(), "root");
    let mut client = server.connect();
    client.send(head("/some?most=0", "Content-Length: 50000000\r\n"));
    assert!(client.expect(200).says_close());
    client.expect_end();
}

#[test]
fn a_body_over_the_limit_is_413() {
    let mut logs = Logs::default();
    let seen: Arc<Mutex<Vec<(Kind, usize)>>> = Arc::default();
    let server = Server::start(&[("max_body_bytes", "10000")], |app| {
        logs = Logs::of(app);
        let kept = Arc::clone(&seen);
        reading(app, "/read", move |request: &Request, response: &mut Response| {
            let mut read = 0;
            loop {
                match request.read(&mut [0; 1000]) {
                    Ok(0) => return response.send_text(read.to_string().as_bytes()),
                    Ok(count) => read += count,
                    Err(error) => {
                        kept.lock().push((error.kind(), read));
                        return Err(error);
                    }
                }
            }
        });
        reading(app, "/stubborn", |request: &Request, response: &mut Response| {
            while request.read(&mut [0; 1000]).is_ok_and(|count| count > 0) {}
            assert!(request.read(&mut [0; 1000]).is_err(), "it stays so");
            response.send_text(b"never mind")
        });
    });
    let mut client = server.connect();
    client.send(head("/read", "Content-Length: 10001\r\n"));
    client.expect(413);
    assert!(seen.lock().is_empty(), "the handler is not asked");
    let mut client = server.connect();
    client.send([plain_chunks("/read", pattern(10_000), 3000), plain_chunks("/read", pattern(10_001), 3000)].concat());
    assert_eq!(client.expect(200).text(), "10000");
    assert!(client.expect(413).says_close());
    client.expect_end();
    let seen = seen.lock().clone();
    assert!(matches!(seen[..], [(Kind::Limit, read)] if read <= 10_000), "{seen:?}");
    let mut client = server.connect();
    client.send(plain_chunks("/stubborn", pattern(10_001), 3000));
    let answer = client.expect(200);
    assert_eq!((answer.text(), answer.says_close()), ("never mind".to_owned(), true));
    client.expect_end();
    assert_eq!(logs.errors(), Vec::<String>::new());
}

#[test]
fn a_malformed_body_is_400() {
    let server = Server::start(&[], |app| reading(app, "/read", read_and_mirror));
    for wrong in ["x\r\n", "5\r\nhelloX\r\n", "5\nhello", "-5\r\n", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", "ffffffffffffffffff\r\n"] {
        let mut client = server.connect();
        client.send([&head("/read", "Transfer-Encoding: chunked\r\n")[..], b"3\r\nabc\r\n", wrong.as_bytes()].concat());
        let answer = client.answer();
        assert!(answer.status == 400 || wrong.starts_with("fff") && answer.status == 413, "{wrong:?}: {answer:?}");
        assert!(answer.says_close());
        client.expect_end();
    }
}

#[test]
fn a_body_that_stops_is_408_after_body_timeout_ms() {
    let kinds: Arc<Mutex<Vec<Kind>>> = Arc::default();
    let server = Server::start(&[("body_timeout_ms", "300")], |app| {
        let kinds = Arc::clone(&kinds);
        reading(app, "/read", move |request: &Request, response: &mut Response| {
            read_all(request, 100).inspect_err(|error| kinds.lock().push(error.kind())).and_then(|body| response.send(&body))
        });
    });
    for (fields, piece) in
        [("Content-Length: 10\r\n", "half"), ("Transfer-Encoding: chunked\r\n", "a\r\nhalf"), ("Content-Length: 10\r\n", "")]
    {
        let begin = Instant::now();
        let mut client = server.connect();
        client.send([&head("/read", fields)[..], piece.as_bytes()].concat());
        assert!(client.expect(408).says_close());
        assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
        client.expect_end();
    }
    assert_eq!(*kinds.lock(), [Kind::Timeout; 3]);
}

#[test]
fn a_client_that_leaves_ends_the_read() {
    let kinds: Arc<Mutex<Vec<Kind>>> = Arc::default();
    let mut logs = Logs::default();
    let server = Server::start(&[], |app| {
        logs = Logs::of(app);
        let kinds = Arc::clone(&kinds);
        reading(app, "/read", move |request: &Request, response: &mut Response| {
            read_all(request, 100).inspect_err(|error| kinds.lock().push(error.kind())).and_then(|body| response.send(&body))
        });
    });
    for (fields, piece) in [("Content-Length: 10\r\n", "half"), ("Transfer-Encoding: chunked\r\n", "a\r\nhalf")] {
        for way in 0..3 {
            let mut client = server.connect();
            client.send([&head("/read", fields)[..], piece.as_bytes()].concat());
            match way {
                0 => {
                    client.half_close();
                    client.expect(400);
                    client.expect_end();
                }
                1 => {
                    SockRef::from(client.tcp()).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
                    drop(client);
                }
                _ => drop(client),
            }
            await_that("the read ends", || !kinds.lock().is_empty());
            assert_eq!(kinds.lock().drain(..).collect::<Vec<_>>(), [Kind::Closed]);
        }
    }
    assert_eq!(logs.errors(), Vec::<String>::new(), "what clients do is no error of the program");
    server.expect_alive();
}

#[test]
fn a_handler_may_write_while_it_reads() {
    let server = Server::start(&[("max_body_bytes", "100000000")], |app| {
        reading(app, "/echo", |request: &Request, response: &mut Response| {
            let mut piece = vec![0; 20_000];
            loop {
                match request.read(&mut piece)? {
                    0 => return Ok(()),
                    count => response.write(request, &piece[..count])?,
                }
            }
        });
    });
    let mut client = server.connect_narrow();
    let mut writer = client.tcp().try_clone().expect("a second handle");
    thread::scope(|scope| {
        scope.spawn(move || {
            for request in [post("/echo", pattern(8 << 20)), plain_chunks("/echo", pattern(1 << 20), 100_000), get("/")] {
                writer.write_all(&request).expect("the server takes it");
            }
        });
        assert!(client.expect_streamed(200).answer.body == pattern(8 << 20));
        assert!(client.expect_streamed(200).answer.body == pattern(1 << 20));
        assert_eq!(client.expect(200).text(), "root");
    });
}

#[test]
fn a_reader_may_defer_before_the_end() {
    let server = Server::start(&[], |app| {
        reading(app, "/later", |request: &Request, response: &mut Response| {
            let mut piece = [0; 10];
            let count = request.read(&mut piece)?;
            let mut exchange = response.defer(request)?;
            assert!(exchange.request().read(&mut [0; 10]).is_err(), "a deferred request reads no more");
            exchange.response_mut().send(&piece[..count])?;
            exchange.finish()
        });
    });
    let mut client = server.connect();
    client.send([post("/later", pattern(50_000)), plain_chunks("/later", pattern(50_000), 10), get("/")].concat());
    for _ in 0..2 {
        let answer = client.expect(200);
        assert!(!answer.body.is_empty() && pattern(10).starts_with(&answer.body), "{answer:?}");
    }
    assert_eq!(client.expect(200).text(), "root");
}

#[test]
fn an_answer_after_a_malformed_body_says_that_it_is_the_last() {
    let server = Server::start(&[], |app| {
        reading(app, "/later", |request: &Request, response: &mut Response| {
            read_all(request, 100).expect_err("it is malformed");
            let mut exchange = response.defer(request)?;
            exchange.response_mut().send_text(b"later")?;
            exchange.finish()
        });
        reading(app, "/stream", |request: &Request, response: &mut Response| {
            read_all(request, 100).expect_err("it is malformed");
            response.write(request, b"piece")
        });
    });
    for target in ["/later", "/stream"] {
        let mut client = server.connect();
        client.send([&head(target, "Transfer-Encoding: chunked\r\n")[..], b"3\r\nabc\r\nx\r\n"].concat());
        let answer = client.expect_streamed(200).answer;
        assert!(answer.says_close(), "{target}: {answer:?}");
        client.expect_end();
    }
}

#[test]
fn readers_that_wait_leave_a_thread_to_others() {
    let server = Server::start(&[("threads", "3")], |app| reading(app, "/read", read_and_mirror));
    let mut waiting: Vec<Client> = (0..2)
        .map(|_| {
            let mut client = server.connect();
            client.send([&head("/read", "Content-Length: 10\r\n")[..], b"hello"].concat());
            client
        })
        .collect();
    for _ in 0..20 {
        server.expect_alive();
    }
    for client in &mut waiting {
        client.send("world");
        assert_eq!(client.expect(200).text(), "helloworld");
    }
}

#[test]
fn an_app_that_stops_ends_the_reads() {
    let ended: Arc<Mutex<Option<Kind>>> = Arc::default();
    let server = Server::start(&[], |app| {
        let ended = Arc::clone(&ended);
        reading(app, "/read", move |request: &Request, response: &mut Response| {
            read_all(request, 100).inspect_err(|error| *ended.lock() = Some(error.kind())).and_then(|body| response.send(&body))
        });
    });
    let mut client = server.connect();
    client.send([&head("/read", "Content-Length: 10\r\nExpect: 100-continue\r\n")[..]].concat());
    client.expect(100);
    let begin = Instant::now();
    server.stop();
    server.wait(Some(PATIENCE)).expect("a read holds nothing up");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(*ended.lock(), Some(Kind::Closed));
    client.read_until_gone().expect("the connection ends");
}

#[test]
fn a_route_has_a_limit_of_its_own() {
    let server = Server::start(&[("max_body_bytes", "1000")], |app| {
        for (path, most) in [("/less", "10"), ("/more", "100000"), ("/stream", "100000")] {
            app.route("*", path, Box::new(read_or_body)).expect("new");
            app.set_route_option("*", path, "max_body_bytes", most).expect("the route is there");
        }
        app.set_route_option("*", "/stream", "body", "stream").expect("the route is there");
        app.post("/usual", read_or_body).expect("new");
        for (name, value) in [("body", "later"), ("max_body_bytes", "many"), ("none", "1"), ("exchange_timeout_ms", "-1")] {
            assert!(app.set_route_option("POST", "/usual", name, value).is_err(), "{name} = {value}");
        }
        assert_eq!(app.set_route_option("GET", "/usual", "body", "stream").map_err(|error| error.kind()), Err(Kind::NotFound));
    });
    for (target, most) in [("/less", 10), ("/more", 100_000), ("/stream", 100_000), ("/usual", 1000)] {
        for size in [0, 777] {
            for (length, status) in [(most, 200), (most + 1, 413)] {
                let request = if size == 0 { post(target, pattern(length)) } else { plain_chunks(target, pattern(length), size) };
                let mut client = server.connect();
                client.send(request);
                let answer = client.expect(status);
                assert!(status == 413 || answer.body == pattern(length), "{target} {length}");
            }
        }
    }
}

/// Reads where there is something to be read.
fn read_or_body(request: &Request, response: &mut Response) -> hasty::Result<()> {
    if request.path() == "/stream" {
        return read_and_mirror(request, response);
    }
    assert_eq!(request.read(&mut [0; 10]).map_err(|error| error.kind()), Err(Kind::State), "the body was received before");
    response.send(request.body().bytes())
}

/// Once the answer has begun there is no place for a 100.
#[test]
fn an_answer_that_has_begun_is_not_interrupted_to_continue() {
    let server = Server::start(&[], |app| {
        reading(app, "/ready", |request: &Request, response: &mut Response| {
            response.write(request, b"ready ")?;
            let body = read_all(request, 100)?;
            response.write(request, &body)
        });
    });
    // Without an expectation the answer may begin before the body.
    let mut client = server.connect();
    client.send(head("/ready", "Content-Length: 5\r\n"));
    assert_eq!(client.expect_head(200).framing, support::Framing::Chunked);
    assert_eq!(shown(&client.chunk()), "ready ");
    client.send([&b"hello"[..], &get("/")].concat());
    assert_eq!(shown(&client.chunk()), "hello");
    assert!(client.chunk().is_empty());
    assert_eq!(client.expect(200).text(), "root");
    // With one the client takes the answer for final; it may send the body all the same.
    let mut client = server.connect();
    client.send(head("/ready", "Content-Length: 5\r\nExpect: 100-continue\r\n"));
    client.expect_head(200);
    assert_eq!(shown(&client.chunk()), "ready ");
    let _ = client.try_send("hello");
    match client.try_chunk() {
        Ok(chunk) => assert_eq!(shown(&chunk), "hello", "nothing else stands between the chunks"),
        // Or the read fails, and the answer is cut.
        Err(why) => assert!(!why.contains("HTTP/1.1 100"), "{why}"),
    }
}

#[test]
fn trailers_and_head_and_nothing_at_all_are_read_to_their_end() {
    let server = Server::start(&[], |app| reading(app, "/read", read_and_mirror));
    let mut client = server.connect();
    client.send(
        "POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Sum: 7\r\n\r\n",
    );
    client.send("POST /read HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    client.send("HEAD /read HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send([get("/read"), post("/read", b"end")].concat());
    assert_eq!(client.expect(200).text(), "hello");
    assert_eq!(client.expect(200).text(), "");
    assert_eq!(client.answer_to_head().status, 200);
    assert_eq!(client.expect(200).text(), "");
    assert_eq!(client.expect(200).text(), "end");
}

#[test]
fn many_uploads_at_once_keep_their_bytes_apart() {
    let place = Place::new(&[("spool_bytes", "5000"), ("threads", "4")], |app| reading(app, "/read", read_and_mirror));
    thread::scope(|scope| {
        for seed in 0..6_u64 {
            let place = &place;
            scope.spawn(move || {
                let mut random = Random::new(seed + 50);
                let mut client = place.server.connect();
                for turn in 0..30 {
                    let length = random.below(40_000);
                    let content = &pattern(100_000)[random.below(50_000)..][..length];
                    if turn % 3 == 0 {
                        client.send(post("/read", content));
                        assert!(client.expect(200).body == content);
                        continue;
                    }
                    let body = form(&[file("f", "f", content)]);
                    client.send(if turn % 3 == 1 { upload("/form", &body) } else { chunked("/form", &body, 1 + random.below(20_000)) });
                    let text = client.expect(200).text();
                    assert!(text.contains(&sum(content)), "{text}");
                }
            });
        }
    });
    place.expect_empty();
}
