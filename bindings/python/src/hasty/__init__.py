"""hasty: an embeddable HTTP/1.1 server.

>>> from hasty import App
>>> app = App()
>>> @app.get("/hello/:name")
... def hello(req):
...     return f"Hello, {req.params['name']}!"
>>> with app.test_client() as client:
...     client.get("/hello/Ada").text
'Hello, Ada!'

`app.listen(8080)` serves until Ctrl-C. A handler returns its response: `str` is text, `dict` and `list` are JSON,
`bytes` are binary data, `None` is 204; `(body, status[, headers])` and `Response` set more. It can also yield the
response piece by piece, or take it as its second argument: `def hello(req, res): res.status(200).json({...})`.
"""

from ._ffi import hasty_version as _version
from .access import Access
from .app import App, RouteOptions
from .client import Answer, Client
from .cors import Cors
from .errors import (
    BadRequest,
    ClosedError,
    HastyError,
    HttpError,
    InvalidError,
    IoError,
    JsonError,
    LibraryError,
    LimitError,
    NotFoundError,
    NullError,
    PanicError,
    StateError,
    TimedOutError,
    UnsupportedError,
)
from .event import Event
from .exchange import Exchange
from .handler import After, ErrorHandler, Handler, Middleware
from .headers import Headers, MutableHeaders, Values
from .request import Request
from .response import Response, Result
from .server import Server
from .upload import Files, Upload

__all__ = [
    "Access",
    "After",
    "Answer",
    "App",
    "BadRequest",
    "Client",
    "ClosedError",
    "Cors",
    "ErrorHandler",
    "Event",
    "Exchange",
    "Files",
    "Handler",
    "HastyError",
    "Headers",
    "HttpError",
    "InvalidError",
    "IoError",
    "JsonError",
    "LibraryError",
    "LimitError",
    "Middleware",
    "MutableHeaders",
    "NotFoundError",
    "NullError",
    "PanicError",
    "Request",
    "Response",
    "Result",
    "RouteOptions",
    "Server",
    "StateError",
    "TimedOutError",
    "UnsupportedError",
    "Upload",
    "Values",
    "__version__",
]

#: The version of the library and of this package.
__version__: str = _version().decode()
