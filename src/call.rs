//! A request together with its response: they wait, move and end together.

use crate::request::Request;
use crate::response::Response;

/// One request and its response.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) response: Response,
}

impl Call {
    /// Clears both: nothing may be left for the next request, which may be another client's.
    pub(crate) fn end(&mut self) {
        self.request.end();
        self.response.clear();
    }
}
