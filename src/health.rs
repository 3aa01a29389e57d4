//! The health report of an app, for the probes of orchestrators and for operators.

use crate::error::Result;
use crate::handler::Handler;
use crate::json::Value;
use crate::request::Request;
use crate::response::Response;
use crate::server::Engine;
use once_cell::sync::OnceCell;
use std::sync::{Arc, Weak};

/// The state that an app reports.
pub(crate) struct Signs {
    /// Does it drain or stop? Then it takes no new connections.
    pub(crate) is_ending: bool,
    pub(crate) uptime_ms: u64,
    /// Requests received so far.
    pub(crate) requests: u64,
    pub(crate) connections: usize,
    /// Requests that wait for a thread.
    pub(crate) queued: usize,
    /// How long ago a thread of the host's last asked for requests; None if none ever did.
    pub(crate) caller_idle_ms: Option<u32>,
}

/// Answers with the signs of the app.
#[derive(Default)]
pub(crate) struct Health {
    engine: Arc<OnceCell<Weak<Engine>>>,
}

impl Health {
    /// `engine` is set when the app starts.
    pub(crate) fn new(engine: &Arc<OnceCell<Weak<Engine>>>) -> Health {
        Health { engine: Arc::clone(engine) }
    }
}

impl Handler for Health {
    fn handle(&self, _request: &Request, response: &mut Response) -> Result<()> {
        let Some(engine) = self.engine.get().and_then(Weak::upgrade) else { return response.send_status(503) };
        let signs = engine.signs();
        response.set_header(b"Cache-Control", b"no-store")?;
        if signs.is_ending {
            response.set_status(503)?;
        }
        response.send_json_value(&report(&signs)?)
    }
}

fn report(signs: &Signs) -> Result<Value> {
    let number = |value: u64| Value::int(i64::try_from(value).unwrap_or(i64::MAX));
    let mut object = Value::object();
    object.set("status", Value::string(if signs.is_ending { "draining" } else { "ok" }))?;
    object.set("uptime_ms", number(signs.uptime_ms))?;
    object.set("requests", number(signs.requests))?;
    object.set("connections", number(signs.connections as u64))?;
    object.set("queued", number(signs.queued as u64))?;
    object.set("caller_idle_ms", signs.caller_idle_ms.map_or_else(Value::null, |ms| number(u64::from(ms))))?;
    Ok(object)
}
