"""The HTTP clients that people use, each asked in the same words."""

from __future__ import annotations

import asyncio
import io
import json as json_module
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Callable, NamedTuple
from urllib.parse import urlencode

import pytest

__all__ = ["AGENTS", "Agent", "Got", "agent_of"]

#: Field of a form: (filename, content, content type).
File = tuple[str, bytes, str]


class Got(NamedTuple):
    """What came back, once the client had followed, joined and decoded it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def field(self, name: str) -> str | None:
        """The first header field of that name."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json_module.loads(self.body)


class Agent:
    """One session of a client, with its cookies and its connections."""

    #: The name of the package, and what it raises where an answer takes too long.
    package: str
    late: type[BaseException]

    def __init__(self, url: str) -> None:
        self.url = url

    def ask(
        self,
        method: str,
        path: str,
        *,
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
        form: dict[str, str] | None = None,
        files: dict[str, File] | None = None,
        follow: bool = False,
        timeout: float = 60,
    ) -> Got:
        raise NotImplementedError

    def ask_all(self, paths: Sequence[str]) -> list[Got]:
        """Asks for all of them at once, with one session."""
        with ThreadPoolExecutor(16) as pool:
            return list(pool.map(lambda path: self.ask("GET", path), paths))

    def pieces(self, path: str) -> Iterator[bytes]:
        """The body, as it arrives."""
        raise NotImplementedError

    def send(self, path: str, pieces: Iterable[bytes]) -> Got:
        """POST of a body whose length nobody knows."""
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Requests(Agent):
    package = "requests"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import requests

        self.late = requests.Timeout
        self.session = requests.Session()
        self.session.trust_env = False

    def ask(self, method: str, path: str, **parts: Any) -> Got:
        answer = self.session.request(
            method,
            self.url + path,
            headers=parts.get("headers"),
            data=parts.get("data") or parts.get("form"),
            files=parts.get("files"),
            allow_redirects=parts.get("follow", False),
            timeout=parts.get("timeout", 60),
        )
        return Got(answer.status_code, list(answer.raw.headers.items()), answer.content)

    def pieces(self, path: str) -> Iterator[bytes]:
        with self.session.get(self.url + path, stream=True, timeout=60) as answer:
            yield from answer.iter_content(None)

    def send(self, path: str, pieces: Iterable[bytes]) -> Got:
        answer = self.session.post(self.url + path, data=iter(pieces), timeout=60)
        return Got(answer.status_code, list(answer.raw.headers.items()), answer.content)

    def close(self) -> None:
        self.session.close()


class Urllib3(Agent):
    package = "urllib3"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import urllib3

        self.late = urllib3.exceptions.TimeoutError
        self.pool = urllib3.PoolManager(maxsize=16, retries=False)
        # It keeps no cookies: those who use it do.
        self.cookies: dict[str, str] = {}

    def ask(self, method: str, path: str, **parts: Any) -> Got:
        import urllib3

        fields = dict(parts.get("headers") or {})
        if self.cookies:
            fields["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        fields.setdefault("Accept-Encoding", "gzip")
        data = parts.get("data")
        if parts.get("files"):
            data, kind = urllib3.encode_multipart_formdata({**(parts.get("form") or {}), **parts["files"]})
            fields["Content-Type"] = kind
        elif parts.get("form"):
            data, fields["Content-Type"] = urlencode(parts["form"]).encode(), "application/x-www-form-urlencoded"
        answer = self.pool.request(
            method,
            self.url + path,
            headers=fields,
            body=data,
            redirect=parts.get("follow", False),
            retries=urllib3.Retry(3, read=False) if parts.get("follow") else False,
            timeout=parts.get("timeout", 60),
        )
        self._keep_cookies(answer.headers.getlist("set-cookie"))
        return Got(answer.status, list(answer.headers.items()), answer.data)

    def _keep_cookies(self, lines: list[str]) -> None:
        for line in lines:
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value
            if "Max-Age=0" in line:
                del self.cookies[name]

    def pieces(self, path: str) -> Iterator[bytes]:
        answer = self.pool.request("GET", self.url + path, preload_content=False, timeout=60)
        yield from answer.stream()
        answer.release_conn()

    def send(self, path: str, pieces: Iterable[bytes]) -> Got:
        answer = self.pool.request("POST", self.url + path, body=iter(pieces), timeout=60)
        return Got(answer.status, list(answer.headers.items()), answer.data)

    def close(self) -> None:
        self.pool.clear()


class Httpx(Agent):
    package = "httpx"

    def __init__(self, url: str) -> None:
        super().__init__(url)
        import httpx

        self.late = httpx.TimeoutException
        self.client = httpx.Client(trust_env=False, timeout=60)

    def ask(self, method: str, path: str, **parts: Any) -> Got:
        return _of_httpx(self.client.request(method, self.url + path, **_for_httpx(parts)))

    def pieces(self, path: str) -> Iterator[bytes]:
        with self.client.stream("GET", self.url + path) as answer:
            yield from answer.iter_bytes()

    def send(self, path: str, pieces: Iterable[bytes]) -> Got:
        return _of_httpx(self.client.post(self.url + path, content=iter(pieces)))

    def close(self) -> None:
        self.client.close()


class Looped(Agent):
    """A client for asyncio, with a loop of its own that runs while it is asked."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.loop = asyncio.new_event_loop()
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        raise NotImplementedError

    async def _shut(self) -> None:
        raise NotImplementedError

    async def _ask(self, method: str, path: str, **parts: Any) -> Got:
        raise NotImplementedError

    def _pieces(self, path: str) -> AsyncIterator[bytes]:
        raise NotImplementedError

    def ask(self, method: str, path: str, **parts: Any) -> Got:
        return self.loop.run_until_complete(self._ask(method, path, **parts))

    def ask_all(self, paths: Sequence[str]) -> list[Got]:
        async def all_of_them() -> list[Got]:
            return await asyncio.gather(*(self._ask("GET", path) for path in paths))

        return self.loop.run_until_complete(all_of_them())

    def pieces(self, path: str) -> Iterator[bytes]:
        arriving = self._pieces(path)
        while True:
            try:
                yield self.loop.run_until_complete(arriving.__anext__())
            except StopAsyncIteration:
                return

    async def _each(self, pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
        """The pieces; whoever makes them may wait without holding the loop."""
        made = iter(pieces)
        while (piece := await self.loop.run_in_executor(None, next, made, None)) is not None:
            yield piece

    def close(self) -> None:
        self.loop.run_until_complete(self._shut())
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()


class AsyncHttpx(Looped):
    package = "httpx"

    async def _open(self) -> None:
        import httpx

        self.late = httpx.TimeoutException
        self.client = httpx.AsyncClient(trust_env=False, timeout=60)

    async def _shut(self) -> None:
        await self.client.aclose()

    async def _ask(self, method: str, path: str, **parts: Any) -> Got:
        return _of_httpx(await self.client.request(method, self.url + path, **_for_httpx(parts)))

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        async with self.client.stream("GET", self.url + path) as answer:
            async for piece in answer.aiter_bytes():
                yield piece

    def send(self, path: str, pieces: Iterable[bytes]) -> Got:
        return _of_httpx(self.loop.run_until_complete(self.client.post(self.url + path, content=self._each(pieces))))


class Aiohttp(Looped):
    package = "aiohttp"

    async def _open(self) -> None:
        import aiohttp

        self.late = asyncio.TimeoutError
        # Cookies of addresses without a name are kept only by who asks for it.
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def _shut(self) -> None:
        await self.session.close()

    async def _ask(self, method: str, path: str, **parts: Any) -> Got:
        import aiohttp

        data: Any = parts.get("form")
        if parts.get("data"):
            # It warns of bytes: they might be many.
            data = io.BytesIO(parts["data"])
        if parts.get("files"):
            data = aiohttp.FormData(parts.get("form") or {}, quote_fields=False)
            for name, (filename, content, kind) in parts["files"].items():
                data.add_field(name, content, filename=filename, content_type=kind)
        async with self.session.request(
            method,
            self.url + path,
            headers=parts.get("headers"),
            data=data,
            allow_redirects=parts.get("follow", False),
            timeout=aiohttp.ClientTimeout(parts.get("timeout", 60)),
        ) as answer:
            return Got(answer.status, list(answer.headers.items()), await answer.read())

    async def _pieces(self, path: str) -> AsyncIterator[bytes]:
        async with self.session.get(self.url + path) as answer:
            async for piece, _ in answer.content.iter_chunks():
                yield piece

    def send(self, path: str, pieces: Iterable[bytes]) -> Got:
        async def post() -> Got:
            async with self.session.post(self.url + path, data=self._each(pieces)) as answer:
                return Got(answer.status, list(answer.headers.items()), await answer.read())

        return self.loop.run_until_complete(post())


def _for_httpx(parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "headers": parts.get("headers"),
        "content": parts.get("data"),
        "data": parts.get("form"),
        "files": parts.get("files"),
        "follow_redirects": parts.get("follow", False),
        "timeout": parts.get("timeout", 60),
    }


def _of_httpx(answer: Any) -> Got:
    return Got(answer.status_code, answer.headers.multi_items(), answer.content)


AGENTS: dict[str, Callable[[str], Agent]] = {
    "requests": Requests,
    "urllib3": Urllib3,
    "httpx": Httpx,
    "httpx-async": AsyncHttpx,
    "aiohttp": Aiohttp,
}


def agent_of(name: str, url: str) -> Agent:
    """A new session of the client of that name; the test is skipped where the client is not installed."""
    kind: Any = AGENTS[name]
    pytest.importorskip(kind.package)
    agent: Agent = kind(url)
    return agent
