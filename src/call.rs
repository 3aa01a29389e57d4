//! A request together with the answer that is prepared for it: they wait, move and end together.

use crate::request::Request;
use crate::response::Response;

/// One request and its response.
pub(crate) struct Call {
    pub(crate) request: Request,
    pub(crate) response: Response,
}

impl Call {
    /// Ends it: nothing of it is left for the next one, which may be another client's.
    pub(crate) fn end(&mut self) {
        self.request.end();
        self.response.clear();
    }
}
