//! An app: routes and options first, then listening, then serving.

use crate::access::AccessLog;
use crate::cors::{Cors, CorsOptions};
use crate::error::{Error, Kind, Result, Shown};
use crate::exchange::Exchange;
use crate::handler::{Allow, ErrorHandler, Handler, Log, Middleware, Notify};
use crate::health::Health;
use crate::hooks::Hooks;
use crate::options::{Key, Options};
use crate::prefix::Prefix;
use crate::request::Request;
use crate::response::Response;
use crate::route::Route;
use crate::router::Router;
use crate::server::{CallerQueue, Control, Engine, Listener, SlotVisit, Visit, Watch};
use crate::service::Service;
use crate::static_files::{Memory, Mount, StaticFiles, StaticOptions};
use once_cell::sync::OnceCell;
use parking_lot::Mutex;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// A server with its routes and options. It runs once.
///
/// Dropping it stops it and waits for running callbacks; dropped by one of its own callbacks, it ends when the last one returns.
///
/// ```
/// use hasty::{App, Options, Request, Response};
///
/// let app = App::new(Options::new())?;
/// app.get("/hello/:name", |request: &Request, response: &mut Response| {
///     let name = request.param(b"name").map(|name| name.to_str().into_owned()).unwrap_or_default();
///     response.send_text(format!("Hello, {name}!").as_bytes())
/// })?;
/// app.listen(None, 0)?;
/// app.start()?;
/// assert_ne!(app.port(), 0);
/// app.stop();
/// app.wait(None)?;
/// # Ok::<(), hasty::Error>(())
/// ```
pub struct App {
    /// Everything registered before start; None from then on.
    setup: Mutex<Option<Setup>>,
    options: Mutex<Options>,
    control: Arc<Control>,
    callers: Arc<CallerQueue>,
    engine: OnceCell<Arc<Engine>>,
    /// The same, for health checks.
    known_engine: Arc<OnceCell<Weak<Engine>>>,
    /// The first TCP listener's.
    port: OnceCell<u16>,
}

struct Setup {
    router: Router,
    routes: Vec<Route>,
    /// Under the same numbers.
    handlers: Vec<Box<dyn Handler>>,
    /// How many calls have registered routes.
    registrations: u32,
    hooks: Hooks,
    listeners: Vec<Listener>,
    /// The cache for small files of folders.
    memory: Arc<Memory>,
}

impl Setup {
    /// Stores the route and handler for the router's number `index`.
    fn add(&mut self, index: usize, pattern: &str, handler: Box<dyn Handler>) {
        let param_names = self.router.route(index).param_names().to_vec();
        let mut route = Route::new(pattern, param_names, handler.user_data());
        route.is_for_caller = handler.is_for_caller();
        route.registration = self.registrations;
        self.routes.push(route);
        self.handlers.push(handler);
    }
}

/// The most listeners of an app.
const MAX_LISTENERS: usize = 1024;

impl App {
    /// An app without routes.
    pub fn new(options: Options) -> Result<App> {
        let control = Control::new().map_err(|error| Error::io("make an app", &error))?;
        let setup = Setup {
            router: Router::new(),
            routes: Vec::new(),
            handlers: Vec::new(),
            registrations: 0,
            hooks: Hooks::default(),
            listeners: Vec::new(),
            memory: Arc::new(Memory::new()),
        };
        Ok(App {
            setup: Mutex::new(Some(setup)),
            options: Mutex::new(options),
            control: Arc::new(control),
            callers: Arc::default(),
            engine: OnceCell::new(),
            known_engine: Arc::default(),
            port: OnceCell::new(),
        })
    }

    /// Sets an option by name and text, before start; some must be set before `listen`.
    pub fn set_option(&self, name: &str, value: &str) -> Result<()> {
        self.with_setup(|_| self.options.lock().set_by_name(name, value))
    }

    /// An option's value as text.
    pub fn option(&self, name: &str) -> Result<String> {
        self.options.lock().get_by_name(name)
    }

    /// Adds a handler for a method, or "*" for any, and a pattern; `router` has the rules.
    pub fn route(&self, method: &str, pattern: &str, handler: Box<dyn Handler>) -> Result<()> {
        // A refused handler is dropped here, after the lock: its drop may run user code that calls the app.
        let mut handler = Some(handler);
        self.with_setup(|setup| {
            let index = setup.router.add(method, pattern)?;
            if let Some(handler) = handler.take() {
                setup.add(index, pattern, handler);
            }
            setup.registrations += 1;
            Ok(())
        })
    }

    /// Adds a handler for GET, and HEAD.
    pub fn get<F>(&self, pattern: &str, handler: F) -> Result<()>
    where
        F: Fn(&Request, &mut Response) -> Result<()> + Send + Sync + 'static,
    {
        self.route("GET", pattern, Box::new(handler))
    }

    /// Adds a handler for POST.
    pub fn post<F>(&self, pattern: &str, handler: F) -> Result<()>
    where
        F: Fn(&Request, &mut Response) -> Result<()> + Send + Sync + 'static,
    {
        self.route("POST", pattern, Box::new(handler))
    }

    /// Serves the files below `directory` for GET and HEAD, at `prefix` and all paths below it.
    pub fn static_files(&self, prefix: &str, directory: impl AsRef<Path>, options: &StaticOptions) -> Result<()> {
        self.with_setup(|setup| {
            if !prefix.starts_with('/') {
                return Err(Error::invalid(format!("prefix \"{}\": it must begin with '/'", Shown(prefix.as_bytes()))));
            }
            let prefix = prefix.trim_end_matches('/');
            let rest = format!("{prefix}/*");
            // The rest of "/" matches "/" itself too, but a route registered for "/" wins.
            let patterns = if prefix.is_empty() { vec![&*rest] } else { vec![prefix, &*rest] };
            for pattern in &patterns {
                setup.router.check("GET", pattern)?;
            }
            let files = Arc::new(StaticFiles::new(directory.as_ref(), options, &setup.memory)?);
            for pattern in patterns {
                let index = setup.router.add("GET", pattern)?;
                let mount = Mount { files: Arc::clone(&files), below: pattern == rest };
                setup.add(index, pattern, Box::new(mount));
            }
            setup.registrations += 1;
            Ok(())
        })
    }

    /// Sets an option of one route, identified by the method and pattern it was registered with.
    ///
    /// `body` is `buffer`, or `stream`: the handler reads it itself. `blocking` is `auto`, `yes` or `no`: whether the handler is known
    /// to block. `dispatch` is `pool`, or `caller`: requests wait for `poll` or `next`. `max_body_bytes` and `exchange_timeout_ms`
    /// replace the app's.
    pub fn set_route_option(&self, method: &str, pattern: &str, name: &str, value: &str) -> Result<()> {
        self.with_setup(|setup| {
            let Some(index) = setup.router.lookup(method, pattern) else {
                let words = format!("there is no route {} \"{}\"", Shown(method.as_bytes()), Shown(pattern.as_bytes()));
                return Err(Error::new(Kind::NotFound, words));
            };
            let has_handler = !setup.handlers[index].is_for_caller();
            setup.routes[index].set_option(name, value, has_handler)
        })
    }

    /// Runs `middleware` before the handlers of all paths below `prefix`, in the order of registration; also before static
    /// files and the library's own 404 and 405, but not for preflights.
    pub fn middleware(&self, prefix: &str, middleware: Box<dyn Middleware>) -> Result<()> {
        let mut given = Some(middleware);
        self.with_setup(|setup| {
            let prefix = Prefix::new(prefix)?;
            setup.hooks.middleware.extend(given.take().map(|given| (prefix, given)));
            Ok(())
        })
    }

    /// Runs `handler` after those of all paths below `prefix`, in the reverse order of registration, for every answer to a request
    /// that could be parsed. It may change headers and, of an answer that is not written piece by piece, the body.
    pub fn after(&self, prefix: &str, handler: Box<dyn Handler>) -> Result<()> {
        let mut given = Some(handler);
        self.with_setup(|setup| {
            let prefix = Prefix::new(prefix)?;
            setup.hooks.after.extend(given.take().map(|given| (prefix, given)));
            Ok(())
        })
    }

    /// Lets scripts of other origins read the answers below `prefix`. Of several policies the one with the longest prefix applies.
    pub fn cors(&self, prefix: &str, policy: &CorsOptions) -> Result<()> {
        self.with_setup(|setup| setup.hooks.add_cors(Prefix::new(prefix)?, Cors::new(policy)?))
    }

    /// Answers GET at `pattern` with a health report in JSON; with 503 while the app drains.
    pub fn health(&self, pattern: &str) -> Result<()> {
        self.route("GET", pattern, Box::new(Health::new(&self.known_engine)))?;
        // Health checks must be answered even while all other requests wait.
        self.set_route_option("GET", pattern, "blocking", "no")
    }

    /// Limits the requests of each address below `prefix` to `per_minute`, and to `burst` at once (0: `per_minute`); more is 429.
    /// If `allow` is given, it decides instead.
    pub fn rate_limit(&self, prefix: &str, per_minute: u32, burst: u32, allow: Option<Box<dyn Allow>>) -> Result<()> {
        let mut given = allow;
        self.with_setup(|setup| {
            let prefix = Prefix::new(prefix)?;
            setup.hooks.add_limit(prefix, per_minute, burst, &mut given)
        })
    }

    /// Adds a header to every answer that has none of that name; `Vary` to all.
    pub fn add_header(&self, name: &[u8], value: &[u8]) -> Result<()> {
        self.with_setup(|setup| setup.hooks.add_field(name, value))
    }

    /// Adds common security headers to every answer: `X-Content-Type-Options`, `X-Frame-Options`, `Referrer-Policy`,
    /// `Cross-Origin-Opener-Policy`, `X-Permitted-Cross-Domain-Policies`.
    pub fn secure_headers(&self) -> Result<()> {
        self.with_setup(|setup| setup.hooks.add_secure_fields())
    }

    /// Passes a record of each finished request to `log`, which replaces an earlier one.
    pub fn on_access(&self, log: Box<dyn AccessLog>) -> Result<()> {
        let mut given = Some(log);
        self.with_setup(|setup| {
            std::mem::swap(&mut setup.hooks.on_access, &mut given);
            Ok(())
        })
    }

    /// Calls `hook` on each thread of the pool when it starts and ends; it replaces an earlier one.
    pub fn on_thread(&self, hook: Box<dyn Notify>) -> Result<()> {
        let mut given = Some(hook);
        self.with_setup(|setup| {
            std::mem::swap(&mut setup.hooks.on_thread, &mut given);
            Ok(())
        })
    }

    /// Lets `handler` change the error answers that the library itself gives; it replaces an earlier one.
    pub fn on_error(&self, handler: Box<dyn ErrorHandler>) -> Result<()> {
        // `given` receives the earlier handler, which is dropped after the lock, as in `route`.
        let mut given = Some(handler);
        self.with_setup(|setup| {
            std::mem::swap(&mut setup.hooks.on_error, &mut given);
            Ok(())
        })
    }

    /// Passes log messages to `log`, which replaces an earlier one.
    pub fn on_log(&self, log: Box<dyn Log>) -> Result<()> {
        let mut given = Some(log);
        self.with_setup(|setup| {
            std::mem::swap(&mut setup.hooks.on_log, &mut given);
            Ok(())
        })
    }

    /// Listens on an address or name, at once; None is the loopback address, port 0 picks a free one. May be repeated.
    pub fn listen(&self, host: Option<&str>, port: i32) -> Result<()> {
        self.add_listener(|options| Listener::tcp(host, port, options))
    }

    /// Listens on a Unix socket, at once; a stale one is replaced. A mode of 0 leaves it to the umask.
    pub fn listen_unix(&self, path: &[u8], mode: u32) -> Result<()> {
        self.add_listener(|options| Listener::unix(path, mode, options))
    }

    /// Takes over a socket that is listening already; returns it on failure.
    pub fn listen_fd(&self, socket: OwnedFd) -> std::result::Result<(), (OwnedFd, Error)> {
        let mut socket = Some(socket);
        let added = self.add_listener(|options| match socket.take() {
            None => Err(Error::state("the socket was taken already")),
            Some(given) => Listener::adopt(given, options).map_err(|(back, error)| {
                socket = Some(back);
                error
            }),
        });
        match (added, socket) {
            (Err(error), Some(socket)) => Err((socket, error)),
            _ => Ok(()),
        }
    }

    fn add_listener(&self, make: impl FnOnce(&Options) -> Result<Listener>) -> Result<()> {
        self.with_setup(|setup| {
            if setup.listeners.len() == MAX_LISTENERS {
                return Err(Error::fixed(Kind::Limit, "an app has at most 1024 listeners"));
            }
            let listener = make(&self.options.lock())?;
            if let Some(port) = listener.port() {
                let _ = self.port.set(port);
            }
            setup.listeners.push(listener);
            Ok(())
        })
    }

    /// The port of the first TCP listener; 0 without one.
    pub fn port(&self) -> u16 {
        self.port.get().copied().unwrap_or(0)
    }

    /// Starts the threads, and returns.
    pub fn start(&self) -> Result<()> {
        match self.start_once()? {
            Some(_) => Ok(()),
            None if self.engine.get().is_some() => Err(Error::state("the app was started already; it runs once")),
            None => Err(Error::state("the app was stopped before it was started; it runs once")),
        }
    }

    /// None: it was started or stopped before. Otherwise another thread may have dropped the app, so only the visit is used.
    fn start_once(&self) -> Result<Option<Visit>> {
        self.refuse_fork()?;
        let mut place = self.setup.lock();
        if place.is_none() || self.control.is_stopping() {
            return Ok(None);
        }
        let watch = match &*place {
            Some(setup) if !setup.listeners.is_empty() => Watch::new(&self.control, &setup.listeners)?,
            _ => return Err(Error::state("there is nothing to serve: call listen first")),
        };
        let options = self.options.lock().clone();
        if options.get(Key::Threads) == 0 {
            self.callers.prepare(&self.control)?;
        }
        let Some(setup) = place.take() else { return Ok(None) };
        setup.memory.set_fresh_ms(options.get(Key::CacheMs));
        let service = Service::new(
            &options,
            setup.router,
            setup.routes,
            setup.handlers,
            setup.hooks,
            Arc::clone(&self.callers),
            Arc::clone(&self.control),
        );
        let engine = Arc::new(Engine::new(watch, service, &options, setup.listeners));
        let _ = self.known_engine.set(Arc::downgrade(&engine));
        let visit = Visit::late(Arc::clone(&engine));
        let engine = Arc::clone(self.engine.get_or_init(|| engine));
        drop(place);
        // From the first thread on, a callback may drop the app.
        engine.start(usize::try_from(options.get(Key::Threads)).unwrap_or(usize::MAX))?;
        Ok(visit)
    }

    /// Starts if needed, and serves on this thread too until the app stops.
    pub fn run(&self) -> Result<()> {
        let control = Arc::clone(&self.control);
        let visit = match self.start_once()? {
            Some(visit) => Some(visit),
            None => match self.engine.get() {
                Some(engine) if engine.is_serving_here() => return Err(Error::state("a callback of this app cannot run it")),
                engine => engine.cloned().and_then(Visit::late),
            },
        };
        // From here on another thread may drop the app, so only shared parts are touched.
        if let Some(visit) = visit {
            Engine::run(visit);
        }
        // A callback may have forked, and returned in the child process.
        refuse_fork(&control)
    }

    /// A descriptor that is readable exactly while there is something for `poll` or `next` to do, and after a stop. It is for
    /// `poll(2)`, `epoll` and the like, and lives as long as the app.
    pub fn fd(&self) -> Result<BorrowedFd<'_>> {
        self.refuse_fork()?;
        self.callers.descriptor(&self.control)
    }

    /// Waits for requests of routes with `dispatch = caller`, runs at most `most` of their handlers on this thread, and returns how
    /// many. A `timeout` of None waits for ever. `Timeout`: no request came, or `wake` was called. `Closed`: the app has stopped.
    pub fn poll(&self, most: usize, timeout: Option<Duration>) -> Result<usize> {
        if most == 0 {
            return Err(Error::fixed(Kind::Invalid, "max_requests = 0: it must be at least 1"));
        }
        self.engine_to_work_for()?.poll(most, end_of(timeout))
    }

    /// Waits for a request of a route with `dispatch = caller`, and returns it. Time-out and errors are as in `poll`.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Exchange> {
        self.engine_to_work_for()?.next(end_of(timeout))
    }

    /// Begins a call with a slot. From here on the app may be dropped, even by this thread's own callbacks, so only the visit is used.
    pub(crate) fn visit_with_slot(&self) -> Result<SlotVisit> {
        self.engine_to_work_for()?.visit_with_slot()
    }

    /// Ends a waiting `poll` or `next`, or the next one that would wait. May be called from signal handlers.
    pub fn wake(&self) {
        if !self.control.is_forked() {
            self.callers.wake();
        }
    }

    fn engine_to_work_for(&self) -> Result<Arc<Engine>> {
        self.refuse_fork()?;
        match self.engine.get() {
            Some(engine) if engine.is_serving_here() => Err(Error::state("a callback of this app cannot wait for its requests")),
            Some(engine) => Ok(Arc::clone(engine)),
            None if self.control.is_stopping() => Err(Error::fixed(Kind::Closed, "the app was stopped before it was started")),
            None => Err(Error::state("the app was not started")),
        }
    }

    /// Asks the app to stop, and returns at once. May be called before it runs, and from signal handlers.
    pub fn stop(&self) {
        self.control.stop();
    }

    /// Waits until the app has stopped; a `timeout` of None waits for ever.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<()> {
        self.engine_to_wait_for()?.map_or(Ok(()), |engine| engine.wait(end_of(timeout)))
    }

    /// Refuses new connections, lets requests in progress finish, and stops, at the latest after `timeout`. None waits for ever.
    pub fn drain(&self, timeout: Option<Duration>) -> Result<()> {
        self.engine_to_wait_for()?.map_or(Ok(()), |engine| engine.drain(end_of(timeout)))
    }

    /// Asks the app to drain and then to stop, and returns at once: as `drain`, but the serving threads do all of it. May be called before it
    /// runs, by its callbacks, and from signal handlers; a later call sets a new `timeout`.
    pub fn begin_drain(&self, timeout: Option<Duration>) {
        self.control.begin_drain(timeout);
    }

    /// None: it was stopped before it started, so there is nothing to wait for.
    fn engine_to_wait_for(&self) -> Result<Option<Arc<Engine>>> {
        self.refuse_fork()?;
        match self.engine.get() {
            Some(engine) if engine.is_serving_here() => Err(Error::state("a callback of this app cannot wait for it to end")),
            Some(engine) => Ok(Some(Arc::clone(engine))),
            None if self.control.is_stopping() => Ok(None),
            None => Err(Error::state("the app was not started")),
        }
    }

    /// Threads do not survive a fork, and the sockets belong to the parent.
    fn refuse_fork(&self) -> Result<()> {
        refuse_fork(&self.control)
    }

    fn with_setup<R>(&self, change: impl FnOnce(&mut Setup) -> Result<R>) -> Result<R> {
        // Before the lock, which another thread may have held when the fork was made.
        self.refuse_fork()?;
        match &mut *self.setup.lock() {
            Some(setup) => change(setup),
            None => Err(Error::state("the app was started already; set routes, options and listeners before that")),
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.control.stop();
        let Some(engine) = self.engine.take() else { return };
        if self.control.is_forked() {
            // Its threads do not exist in this process, and may have held any lock when it forked. Its descriptors are closed
            // already, and their numbers may be in use again.
            std::mem::forget((engine, Arc::clone(&self.control), Arc::clone(&self.callers)));
            return;
        }
        if engine.is_serving_here() {
            // This thread is one of those to wait for. Each releases the engine when it leaves.
            return;
        }
        let _ = engine.wait(None);
        engine.shut();
        let threads = engine.take_threads();
        drop(engine);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

fn refuse_fork(control: &Control) -> Result<()> {
    match control.is_forked() {
        true => Err(Error::state("this process is a fork of the one that made the app; make a new one here")),
        false => Ok(()),
    }
}

/// The moment at which a time-out that begins now expires; None is never.
pub(crate) fn end_of(timeout: Option<Duration>) -> Option<Instant> {
    timeout.and_then(|timeout| Instant::now().checked_add(timeout))
}
