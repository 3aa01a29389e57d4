"""`python -m hasty`: the command line."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from . import __version__, access, loading
from .address import kind_of
from .app import App
from .cors import Cors
from .errors import HastyError
from .loading import Broken, Misnamed, Refused, Target
from .port import reserved
from .progress import Output, Progress
from .reload import FAILED, REFUSED, Terminated, supervise
from .server import DRAIN_MS

__all__ = ["main"]

USAGE = 2

EXAMPLES = """\
examples:
  python -m hasty .                              serve this folder, with directory listings
  python -m hasty dist --spa index.html          a single-page application
  python -m hasty public --cors '*' --port 9000  allow scripts of any origin
  python -m hasty hello.py --reload              serve "app" in hello.py, and restart it when the code changes
  python -m hasty shop.web:app --workers 4       serve "app" in the module shop.web with four processes
  python -m hasty 'shop:create_app()'            serve the application that a function returns

An application is a hasty.App, or a WSGI (Flask, Django, Bottle) or ASGI application (FastAPI, Starlette).
Press Ctrl-C to stop.
"""

#: A day, the longest drain.
_MOST_SECONDS = 86400

#: Options that apply to one kind of target only.
OF_FOLDERS = ("no_listing", "cors", "cache_control", "spa")
OF_APPLICATIONS = ("reload", "threads", "workers", "interface")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command until Ctrl-C or SIGTERM, and returns the exit code.

    0: stopped by a signal; 2: invalid arguments; 1: any other error.
    """
    options = _parser().parse_args(arguments)
    try:
        signal.signal(signal.SIGTERM, _terminated)
        return _serve(options)
    except (Refused, HastyError) as error:
        _tell(error)
        return USAGE if isinstance(error, Misnamed) else 1
    except KeyboardInterrupt:
        return 0


def _terminated(*_: object) -> NoReturn:
    # Ignore further signals, so that they cannot interrupt the shutdown.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Terminated


def _tell(error: Exception) -> None:
    print(f"hasty: {error}", file=sys.stderr)


# --- arguments ---


class _Parser(argparse.ArgumentParser):
    """A parser whose errors do not repeat the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"hasty: {message} (see --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m hasty",
        description="Serve a folder or an application over HTTP.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # An abbreviation may become ambiguous when options are added.
        allow_abbrev=False,
    )
    parser.add_argument("target", metavar="TARGET", help="DIR, MODULE[:NAME], FILE.py[:NAME], or MODULE:FUNCTION()")
    parser.add_argument("--version", action="version", version=f"hasty {__version__}")
    _add_common(parser)
    _add_of_folders(parser.add_argument_group("for folders"))
    _add_of_applications(parser.add_argument_group("for applications"))
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", type=_port, help="port; 0: any free one; default: 8000, else 8080, else a free one")
    parser.add_argument(
        "--host",
        type=_host,
        default="127.0.0.1",
        help="address to listen on, default %(default)s; 0.0.0.0: all IPv4 addresses; or unix:PATH, fd:NUMBER",
    )
    parser.add_argument(
        "--drain-timeout",
        metavar="SECONDS",
        type=_milliseconds,
        help="time at the end in which responses are still sent, default 0.5",
    )
    parser.add_argument(
        "--access-log",
        metavar="FORMAT",
        choices=("short", "none", *access.FORMATS),
        help='log each request: "short" (default for folders), common, combined, json or none',
    )
    parser.add_argument(
        "--log-level",
        metavar="LEVEL",
        choices=("debug", "info", "warning", "error"),
        help="minimum level of log messages: debug, info, warning or error; default: warning",
    )


def _add_of_folders(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--no-listing", action="store_true", help="do not list directories")
    group.add_argument(
        "--cors",
        metavar="ORIGIN",
        nargs="+",
        action="extend",
        help="origins whose scripts may read responses; '*': any",
    )
    group.add_argument("--cache-control", metavar="VALUE", help='Cache-Control of each file, such as "max-age=3600"')
    group.add_argument("--spa", metavar="FILE", help="file in the folder to send for paths that do not exist")


def _add_of_applications(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--reload", action="store_true", help="restart when a source file changes")
    group.add_argument("--threads", metavar="N", type=_count, help="number of threads that run handlers; not for ASGI")
    group.add_argument("--workers", metavar="N", type=_count, help="number of processes, default 1")
    group.add_argument("--interface", choices=("wsgi", "asgi"), help="kind of application, if it cannot be detected")


def _host(text: str) -> str:
    # As in a URL.
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 to 65535")
    return int(text)


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1")
    return int(text)


def _milliseconds(text: str) -> int:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    # False for NaN, too.
    if not 0 <= number <= _MOST_SECONDS:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds from 0 to {_MOST_SECONDS}")
    return round(number * 1000)


def _refuse(options: argparse.Namespace, names: Sequence[str], what: str) -> None:
    for name in names:
        if getattr(options, name):
            raise Misnamed(f"--{name.replace('_', '-')} is not for {what}")


# --- serving ---


def _serve(options: argparse.Namespace) -> int:
    if os.path.isdir(options.target):
        _refuse(options, OF_APPLICATIONS, f"folders, and {options.target} is one")
        _serve_folder(options)
        return 0
    target = Target.read(options.target)
    _refuse(options, OF_FOLDERS, f"applications: {target} is no folder")
    if options.reload:
        _refuse(options, ("drain_timeout",), "--reload")
    with _place(options):
        if options.reload:
            return supervise(lambda: _serve_application(options, target, FAILED))
        return _serve_application(options, target, 1)


def _serve_folder(options: argparse.Namespace) -> None:
    if options.spa and not os.path.isfile(os.path.join(options.target, options.spa)):
        raise Refused(f"there is no file {options.spa} in {options.target} for --spa")
    app = App()
    app.static(
        "/",
        options.target,
        list=not options.no_listing,
        fallback=options.spa,
        cache_control=options.cache_control,
    )
    if options.cors:
        app.cors("/", Cors(None if "*" in options.cors else options.cors))
    _log(options)
    _log_requests(app, options.access_log or "short")
    _set_drain(app, options)
    with _place(options):
        app.listen(options.port, options.host)


def _place(options: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """Reserves the port and stores its number in `options`; "unix:PATH" and "fd:NUMBER" have none."""
    if kind_of(options.host)[0] != "tcp":
        if options.port is not None:
            raise Misnamed(f"--port is not for {options.host}, which has none")
        options.port = 0
        return contextlib.nullcontext()
    kept = reserved(options.host, options.port)
    options.port = kept.getsockname()[1]
    return kept


def _serve_application(options: argparse.Namespace, target: Target, failed: int) -> int:
    """Serves until the end; returns `failed` if the user's code fails before it can serve."""
    try:
        app = _app(loading.load(target), target, options)
        _log(options)
        _log_requests(app, options.access_log or "none")
        _set_drain(app, options)
        several = {"workers": options.workers} if options.workers else {}
        app.listen(options.port, options.host, **several)
    except Broken as error:
        sys.stderr.write(str(error))
        return failed
    except (Refused, HastyError) as error:
        if error.__cause__ is not None:
            # The application itself failed, for example during its lifespan startup.
            sys.stderr.write(loading.trimmed(error.__cause__))
            _tell(error)
            return failed
        _tell(error)
        return REFUSED
    except KeyboardInterrupt:
        pass
    return 0


def _app(application: Any, target: Target, options: argparse.Namespace) -> App:
    """Returns the application as an App, whatever kind it is."""
    kind = loading.interface(application, target, options.interface)
    if kind == "wsgi":
        from . import wsgi

        return wsgi.as_app(application, threads=options.threads or 0, multiprocess=(options.workers or 1) > 1)
    if kind == "asgi":
        from . import asgi

        if options.threads:
            raise Refused(f"--threads is not for ASGI applications: {target} runs on one event loop")
        return asgi.as_app(application)
    app: App = application
    if options.threads:
        app._threads = options.threads
    return app


def _set_drain(app: App, options: argparse.Namespace) -> None:
    if options.drain_timeout is not None:
        app._drain_ms = options.drain_timeout
    elif options.reload:
        # Whoever edits waits for each restart, perhaps because a page listens for events.
        app._drain_ms = min(app._drain_ms, DRAIN_MS)


# --- logs ---


def _log(options: argparse.Namespace) -> None:
    """Shows log messages as requested, unless the application has configured logging itself."""
    level = (options.log_level or "warning").upper()
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    if options.log_level:
        logging.getLogger("hasty").setLevel(level)


def _log_requests(app: App, style: str) -> None:
    if style == "none":
        return
    output = Output()
    if style == "short":
        app.on_access(Progress(output))
        return
    lines = logging.getLogger("hasty.access")
    lines.setLevel(logging.INFO)
    lines.addHandler(output)
    # They are the program's output and do not belong in its log.
    lines.propagate = False
    app.access_log(style)
