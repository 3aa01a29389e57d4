"""`--reload`: a process that watches the module files of a child process, and restarts it when they change."""

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

#: Exit codes of the child: it cannot serve what was requested; the user's code failed.
REFUSED, FAILED = 1, 3

PR_SET_PDEATHSIG = 1
STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep

#: Seconds between two checks of the files.
INTERVAL_S = 0.5
#: Files that do not change for this many seconds are complete.
SETTLE_S = 0.1
#: Maximum time in seconds to wait for an editor to finish writing.
EDIT_S = 2.0
#: Seconds that the child has to end: enough for the ten seconds that an ASGI application has for its lifespan shutdown.
#: A second Ctrl-C ends the wait.
GRACE_S = 12.0
#: Ctrl-C in a terminal reaches both processes, so the child has this many seconds before it also gets SIGTERM.
OWN_END_S = 0.4

#: Modification time and size of a file; None if it does not exist.
Stamp = Optional[tuple[float, int]]


class Terminated(KeyboardInterrupt):
    """Raised by SIGTERM, which unlike Ctrl-C in a terminal reaches this process only."""


def supervise(serve: Callable[[], int]) -> int:
    """Runs `serve` in a child process, and again after each change; returns the last child's exit code.

    It also returns in each child, with the result of `serve`; the caller should then exit with that.
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
                # Stat the files before the message, in case the user edits one at once.
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
        # After a second Ctrl-C, kill what is left.
        child.end(0)


def _until_change_or_end(child: _Child, files: _Files) -> int | None:
    """Waits; returns the exit code of the child, or None if a file changed first."""
    until = time.monotonic() + INTERVAL_S
    while True:
        child.wait(until - time.monotonic())
        # Before the reports, so that those from just before its end are read too.
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
    """A file that was imported, with its stamp at that time."""

    path: str
    stamp: Stamp


class _Files:
    """Files with their last known stamps."""

    def __init__(self) -> None:
        self._stamps: dict[str, Stamp] = {}

    def add(self, report: _Report) -> None:
        self._stamps[report.path] = report.stamp

    def look(self) -> None:
        self._stamps = _stamps(self._stamps)

    def changed(self) -> list[str]:
        return [path for path, stamp in self._stamps.items() if _stamp(path) != stamp]

    def settled(self, bell: _Bell) -> list[str]:
        """Returns the changed files once they are stable: an editor may write several, or delete one and then write it
        again.
        """
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
        """Returns these files with their folders and the working directory, in case a missing file is added there."""
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
    """Wakes a waiting parent as soon as a child ends."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        # The wakeup fd is written only for signals that have a Python handler.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)

    def wait(self, seconds: float, also: int | None = None) -> None:
        """Waits until a child ends, or `also` is readable."""
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
    """The child process, as seen by the parent."""

    def __init__(self, bell: _Bell) -> None:
        self._bell = bell
        # 0: not started, or this process is the child.
        self._pid = 0
        self._code: int | None = None
        self._reader: int | None = None
        self._rest = b""

    def start(self) -> bool:
        """Forks; returns True in the child, which then reports its imports and ends with its parent."""
        flush()
        reader, writer = os.pipe()
        parent = os.getpid()
        # An interrupt before the process id is stored would leave the child behind.
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
        """Waits until the child reports something, or ends."""
        self._bell.wait(seconds, self._reader)

    def reports(self) -> list[_Report]:
        """Returns the files imported since the last call."""
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
        """Ends the child, after `patience` seconds in which it may end by itself because Ctrl-C reached it too."""
        self._await_end(patience)
        self.end(GRACE_S)

    def end(self, grace: float) -> None:
        """Asks the child to end; after `grace` seconds kills it and its descendants."""
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
            # Keep reading, because a full pipe would block the child.
            self.wait(left)
            self._read()
        return True


def _prepare(writer: int, parent: int) -> None:
    """Prepares the child process."""
    # A parent that is killed cannot stop its child.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(0)
    # Bytecode caches compare modification times in whole seconds, and files may change twice in one.
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    _tell_imports(writer)


def _tell_imports(writer: int) -> None:
    """Makes each import of a Python file write a line to the pipe."""
    genuine = SourceFileLoader.path_stats

    # The import system calls this before it reads a file, so later changes differ from the stamp reported here.
    def path_stats(self: SourceFileLoader, path: str) -> Any:
        stats = genuine(self, path)
        if not _is_installed(path):
            line = json.dumps([os.path.abspath(path), stats["mtime"], stats["size"]])
            try:
                os.write(writer, f"{line}\n".encode())
            except OSError:
                # The parent has ended.
                pass
        return stats

    SourceFileLoader.path_stats = path_stats  # type: ignore[method-assign]


def _is_installed(path: str) -> bool:
    """Is it a file of Python or of an installed package, which users do not edit?"""
    return path.startswith(STANDARD_LIBRARY) or "/site-packages/" in path or "/dist-packages/" in path


def _descendants(pid: int) -> list[int]:
    """Returns the process ids of all descendants."""
    parents = dict(filter(None, map(_parentage, os.listdir("/proc"))))
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]


def _parentage(name: str) -> tuple[int, int] | None:
    try:
        with open(f"/proc/{int(name)}/stat", "rb") as stat:
            # The second field is the name in parentheses, which may contain anything; state and parent follow.
            return int(name), int(stat.read().rpartition(b")")[2].split()[1])
    except (ValueError, OSError):
        return None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
