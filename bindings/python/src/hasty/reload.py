"""`--reload`: a process that watches the files of another one's modules, and starts it anew when they change."""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from typing import Any, Callable, NamedTuple, Optional

from .standard import flush

__all__ = ["FAILED", "REFUSED", "Terminated", "supervise"]

#: Ends of the watched process: it cannot serve what it was asked for; the user's code failed.
REFUSED, FAILED = 1, 3

PR_SET_PDEATHSIG = 1
STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep

#: How often the files are looked at.
INTERVAL_S = 0.5
#: Two looks so far apart that agree: whoever writes has finished.
SETTLE_S = 0.1
#: How long an editor may take to write all that it writes.
EDIT_S = 2.0
#: How long a process may take to end when it is asked to: as long as without a watch, where an application of ASGI
#: has ten seconds for what it does at its end. A second Ctrl-C does not wait.
GRACE_S = 12.0
#: Ctrl-C in a terminal reaches both processes: the watched one is not asked again before that.
OWN_END_S = 0.4

#: When a file was changed, and its size; None where there is none.
Stamp = Optional[tuple[float, int]]


class Terminated(KeyboardInterrupt):
    """SIGTERM: the end was asked for, and not from a terminal."""


def supervise(serve: Callable[[], int]) -> int:
    """Runs `serve` in a child process, and again after each change; returns what the last one returned.

    It returns in the child as well, with what `serve` returned there: whoever calls it should end then.
    """
    files = _Files()
    first = True
    bell = _Bell()
    child = _Child(bell)
    try:
        while True:
            files.look()
            child = _Child(bell)
            if child.start():
                return serve()
            code = _until_change_or_end(child, files)
            if code is not None and (code == 0 or (code == REFUSED and first)):
                return code
            if code is not None:
                # Looked at first: whoever reads this may be quick.
                all_files = files.with_folders()
                _say(f"{_ending(code)}waiting for a change")
                _until_change(bell, all_files)
            first = False
            _say(f"{', '.join(files.settled(bell))} changed, restarting")
            child.end(GRACE_S)
    except KeyboardInterrupt as interrupt:
        child.end_at_interrupt(0 if isinstance(interrupt, Terminated) else OWN_END_S)
        return 0
    finally:
        # Nothing is left where the end was impatient.
        child.end(0)


def _until_change_or_end(child: _Child, files: _Files) -> int | None:
    """The exit code of the child; None where a file has changed first."""
    until = time.monotonic() + INTERVAL_S
    while True:
        child.wait(until - time.monotonic())
        # Asked first: what it told before its end is read then.
        code = child.code()
        for report in child.reports():
            files.add(report)
        if code is not None:
            return code
        if time.monotonic() >= until:
            until = time.monotonic() + INTERVAL_S
            if files.changed():
                return None


def _until_change(bell: _Bell, files: _Files) -> None:
    while not files.changed():
        bell.wait(INTERVAL_S)


def _say(text: str) -> None:
    print(f"hasty: {text}", file=sys.stderr, flush=True)


def _ending(code: int) -> str:
    if code in (REFUSED, FAILED):
        return ""
    return f"it ended with {signal.Signals(-code).name if code < 0 else f'code {code}'}; "


# --- the files ---


class _Report(NamedTuple):
    """A file that was imported, as it was then."""

    path: str
    stamp: Stamp


class _Files:
    """Files, and how they looked."""

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}

    def add(self, report: _Report) -> None:
        self._stamps[report.path] = report.stamp

    def look(self) -> None:
        self._stamps = _stamps(self._stamps)

    def changed(self) -> list[str]:
        return [path for path, stamp in self._stamps.items() if _stamp(path) != stamp]

    def settled(self, bell: _Bell) -> list[str]:
        """The files that have changed, once nobody changes them any more: an editor may write several, or remove one
        before it writes it."""
        until = time.monotonic() + EDIT_S
        changed = self.changed()
        before = _stamps(changed)
        while time.monotonic() < until:
            bell.wait(SETTLE_S)
            changed = self.changed()
            now = _stamps(changed)
            if now == before and None not in now.values():
                break
            before = now
        return [os.path.relpath(path) for path in changed] or ["a file"]

    def with_folders(self) -> _Files:
        """These, and the folders that they are in, where something may be missing."""
        more = _Files()
        more._stamps = {**self._stamps, **_stamps({os.getcwd(), *map(os.path.dirname, self._stamps)})}
        return more


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime, found.st_size


def _stamps(paths: Iterable[str]) -> dict[str, Stamp]:
    return {path: _stamp(path) for path in paths}


# --- the two processes ---


class _Bell:
    """Ends a wait at once when a child ends."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        # Without a handler of Python's no byte is written.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, seconds: float, also: int | None = None) -> None:
        """Waits until a child ends, or there is something to read in `also`."""
        ends = [self._reader] if also is None else [self._reader, also]
        ready, _, _ = select.select(ends, [], [], max(0.0, seconds))
        if self._reader in ready:
            os.read(self._reader, 4096)

    def leave_to_parent(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._reader)
        os.close(self._writer)


class _Child:
    """The watched process, seen from the one that watches."""

    def __init__(self, bell: _Bell) -> None:
        self._bell = bell
        # 0: there is none, or this is the one.
        self._pid = 0
        self._code: int | None = None
        self._reader: int | None = None
        self._rest = b""

    def start(self) -> bool:
        """Makes the process. Says whether this is it: then it tells what it imports, and ends with its parent."""
        flush()
        reader, writer = os.pipe()
        parent = os.getpid()
        # Until its number is known, an interrupt would leave it behind.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            self._pid = os.fork()
            if self._pid == 0:
                os.close(reader)
                self._bell.leave_to_parent()
                _prepare(writer, parent)
                return True
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
        os.set_blocking(reader, False)
        self._reader = reader
        return False

    def wait(self, seconds: float) -> None:
        """Waits until it tells something, or ends."""
        self._bell.wait(seconds, self._reader)

    def reports(self) -> list[_Report]:
        """What it has imported since the last look."""
        self._read()
        *lines, self._rest = self._rest.split(b"\n")
        return [_Report(path, (when, size)) for path, when, size in map(json.loads, lines)]

    def _read(self) -> None:
        while self._reader is not None:
            try:
                piece = os.read(self._reader, 1 << 16)
            except BlockingIOError:
                return
            self._rest += piece
            if not piece:
                self._let_go()

    def _let_go(self) -> None:
        if self._reader is not None:
            os.close(self._reader)
            self._reader = None

    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs."""
        if self._code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def end_at_interrupt(self, patience: float) -> None:
        """Ends it; not before `patience`, if it may have been interrupted as well."""
        self._await_end(patience)
        self.end(GRACE_S)

    def end(self, grace: float) -> None:
        """Asks it to end; after `grace` seconds it is made to, with all that it has started."""
        if self._pid and self.code() is None:
            if grace:
                os.kill(self._pid, signal.SIGTERM)
            if not self._await_end(grace):
                for pid in [self._pid, *_descendants(self._pid)]:
                    _kill(pid)
                self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        self._let_go()

    def _await_end(self, seconds: float) -> bool:
        until = time.monotonic() + seconds
        while self._pid and self.code() is None:
            left = until - time.monotonic()
            if left <= 0:
                return False
            # What it still tells is read, or it might wait for that.
            self.wait(left)
            self._read()
        return True


def _prepare(writer: int, parent: int) -> None:
    """Makes this the watched process."""
    # A parent that is killed cannot say so.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)
    # Compiled files are told apart by whole seconds, and people save more often.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    _tell_imports(writer)


def _tell_imports(writer: int) -> None:
    """Writes a line for each file of Python that is imported from now on."""
    genuine = SourceFileLoader.path_stats

    # The import system asks this before it reads a file: what changes later is newer than what is told here.
    def path_stats(self: SourceFileLoader, path: str) -> Any:
        stats = genuine(self, path)
        if not _is_installed(path):
            line = json.dumps([os.path.abspath(path), stats["mtime"], stats["size"]])
            try:
                os.write(writer, f"{line}\n".encode())
            except OSError:
                # Nobody watches any more.
                pass
        return stats

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]


def _is_installed(path: str) -> bool:
    """Does it belong to Python, or to a package that pip has installed? Nobody edits those."""
    return path.startswith(STANDARD_LIBRARY) or "/site-packages/" in path or "/dist-packages/" in path


def _descendants(pid: int) -> list[int]:
    """The processes that a process has started, and those that they have."""
    parents = dict(filter(None, map(_parentage, os.listdir("/proc"))))
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _parentage(name: str) -> tuple[int, int] | None:
    try:
        with open(f"/proc/{int(name)}/stat", "rb") as stat:
            # The second field is the name in brackets, which may hold anything; state and parent follow.
            return int(name), int(stat.read().rpartition(b")")[2].split()[1])
    except (ValueError, OSError):
        return None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
