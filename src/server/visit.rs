//! A call from outside that works in the engine.

use super::crew::Crew;
use super::deferred::CLOSED;
use super::engine::Engine;
use super::pool::Serving;
use crate::error::Result;
use std::sync::{Arc, Weak};

/// Keeps the engine alive, and whoever frees the app waiting.
pub(crate) struct Visit {
    /// False: it only delivers an answer, perhaps while the host holds a lock, so no notices of others are called.
    comes_to_serve: bool,
    engine: Option<Arc<Engine>>,
    crew: Arc<Crew>,
    /// Marks that callbacks made from here must not wait for the engine's threads to leave.
    _here: Serving,
}

impl Visit {
    /// None: the app has stopped.
    pub(super) fn of(engine: Arc<Engine>) -> Option<Visit> {
        let control = Arc::clone(&engine.service.control);
        Visit::unless(engine, || control.is_stopping())
    }

    /// The same, also after a stop. None: the app was freed.
    pub(crate) fn late(engine: Arc<Engine>) -> Option<Visit> {
        Visit::unless(engine, || false)
    }

    fn unless(engine: Arc<Engine>, is_too_late: impl FnOnce() -> bool) -> Option<Visit> {
        let here = Serving::here(Arc::as_ptr(&engine).addr(), None);
        let crew = Arc::clone(&engine.crew);
        let welcome = crew.visit(is_too_late);
        welcome.then(|| Visit { comes_to_serve: true, engine: Some(engine), crew, _here: here })
    }

    /// To deliver an answer.
    pub(super) fn to_deliver(engine: &Weak<Engine>, crew: &Arc<Crew>, is_too_late: impl FnOnce() -> bool) -> Option<Visit> {
        let here = Serving::here(engine.as_ptr().addr(), None);
        let welcome = crew.visit(is_too_late);
        welcome.then(|| Visit { comes_to_serve: false, engine: engine.upgrade(), crew: Arc::clone(crew), _here: here })
    }

    pub(super) fn engine(&self) -> Result<&Arc<Engine>> {
        self.engine.as_ref().ok_or(CLOSED)
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let comes_to_serve = self.engine.as_ref().filter(|_| self.comes_to_serve);
        if let Some(engine) = comes_to_serve.filter(|engine| engine.service.control.is_stopping()) {
            // Without serving threads nothing else would do it.
            engine.close_if_nobody_serves();
        }
        // The thread that waits for the crew may free the app next.
        drop(self.engine.take());
        self.crew.leave(1);
    }
}
