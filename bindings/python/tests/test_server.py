"""The threads and the end of a server: what meets in the middle of something else, and what cannot begin."""

from __future__ import annotations

import threading
from typing import Any, Callable

import pytest

from hasty import App, Server, StateError, _ffi

# --- ends that meet ---


class Freed:
    """Tells when an app is freed, in the middle of what a call into the library does."""

    def __init__(self, server: Server) -> None:
        self.events: list[str] = []
        native: Any = server._native
        free = native._free

        def freed(pointer: object) -> None:
            self.events.append("freed")
            free(pointer)

        native._free = freed

    def call(self, function: Callable[..., Any], before: Callable[[], object]) -> Callable[..., Any]:
        """Does something while a thread is inside a function of the library's."""

        def called(*arguments: object) -> Any:
            before()
            self.events.append("inside")
            return function(*arguments)

        return called


def test_an_app_is_not_freed_while_another_thread_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    server = App().start()
    freed = Freed(server)
    monkeypatch.setattr(_ffi, "hasty_app_drain", freed.call(_ffi.hasty_app_drain, server.close))
    server._native.drain(0)
    assert freed.events == ["inside", "freed"]


def test_an_app_is_not_freed_while_it_is_asked_for_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(max_headers=50)
    server = app.start()
    freed = Freed(server)
    monkeypatch.setattr(_ffi, "hasty_app_option", freed.call(_ffi.hasty_app_option, server.close))
    assert app.option("max_headers") == "50"
    assert freed.events == ["inside", "freed"]
    with pytest.raises(StateError, match="ended"):
        app.option("max_headers")


def test_an_app_is_not_freed_while_it_is_told_something(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    server = app.start()
    freed = Freed(server)
    monkeypatch.setattr(_ffi, "hasty_app_secure_headers", freed.call(_ffi.hasty_app_secure_headers, server.close))
    with pytest.raises(StateError):
        app.secure_headers()
    assert freed.events == ["inside", "freed"]


def test_ctrl_c_in_a_with_block_meets_a_close_elsewhere() -> None:
    for _ in range(10):
        server = App().start()
        closing = threading.Thread(target=server.close)
        with pytest.raises(KeyboardInterrupt), server:
            closing.start()
            raise KeyboardInterrupt
        closing.join(20)
        assert server.wait(0) and not closing.is_alive()
