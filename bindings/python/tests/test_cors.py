"""CORS policies, as the package hands them to the library; browsers' side of it has tests of its own."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from hasty import App, Client, Cors, InvalidError

HERE = {"Origin": "https://example.org"}
PREFLIGHT = {**HERE, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-token"}


def test_without_a_policy_any_origin_may_read(app: App, client: Client) -> None:
    app.cors("/api")
    app.get("/api/a")(lambda req: "a")
    app.get("/b")(lambda req: "b")
    assert client.get("/api/a", headers=HERE).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in client.get("/b", headers=HERE).headers


def test_a_preflight_is_answered(app: App, client: Client) -> None:
    app.cors()
    app.put("/a")(lambda req: "a")
    answer = client.options("/a", headers=PREFLIGHT)
    assert answer.status_code == 204
    assert "PUT" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"].lower() == "x-token"
    assert answer.headers["access-control-max-age"] == "86400"


def test_a_policy_is_taken_word_by_word(app: App, client: Client) -> None:
    policy = Cors(
        origins=["https://example.org", "https://*.example.net"],
        methods=("PUT", "DELETE"),
        headers=["X-Token", "X-Other"],
        expose=["X-Total"],
        max_age=60,
        credentials=True,
    )
    app.cors("/", policy)
    app.put("/a")(lambda req: "a")
    preflight = client.options("/a", headers=PREFLIGHT).headers
    assert preflight["access-control-allow-origin"] == "https://example.org"
    assert preflight["access-control-allow-credentials"] == "true"
    assert [word.strip() for word in preflight["access-control-allow-methods"].split(",")] == ["PUT", "DELETE"]
    assert preflight["access-control-max-age"] == "60"
    answer = client.put("/a", headers={"Origin": "https://www.example.net"}).headers
    assert answer["access-control-allow-origin"] == "https://www.example.net"
    assert answer["access-control-expose-headers"] == "X-Total" and "Origin" in answer["vary"]
    assert "access-control-allow-origin" not in client.put("/a", headers={"Origin": "https://evil.example"}).headers


def test_0_seconds_are_0_seconds(app: App, client: Client) -> None:
    app.cors("/", Cors(max_age=0))
    app.put("/a")(lambda req: "a")
    assert client.options("/a", headers=PREFLIGHT).headers["access-control-max-age"] == "0"


def test_one_origin_may_stand_alone(app: App, client: Client) -> None:
    app.cors("/", Cors(origins="https://example.org"))
    app.get("/")(lambda req: "")
    assert client.get("/", headers=HERE).headers["access-control-allow-origin"] == "https://example.org"


def test_headers_are_on_errors_too(app: App, client: Client) -> None:
    app.cors()
    app.get("/fail")(lambda req: 1 / 0)
    for path, status in (("/none", 404), ("/fail", 500)):
        answer = client.get(path, headers=HERE)
        assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (status, "*")


@pytest.mark.parametrize(
    "policy",
    [
        Cors(credentials=True),
        Cors(origins=["*"], credentials=True),
        Cors(origins=["example.org"]),
        Cors(methods=["G T"]),
        Cors(headers=["a b"]),
        Cors(max_age=-1),
        Cors(max_age=1 << 32),
        Cors(origins=["https://a\0b"]),
    ],
)
def test_a_policy_that_browsers_would_refuse_is_refused(policy: Cors, app: App) -> None:
    with pytest.raises(InvalidError):
        app.cors("/", policy)


def test_the_prefix_comes_first(app: App) -> None:
    anything: Any = app
    with pytest.raises(TypeError, match=r'cors\(\): the prefix comes first, as in app\.cors\("/", Cors\(\.\.\.\)\)'):
        anything.cors(Cors())


def test_a_prefix_has_one_policy(app: App) -> None:
    app.cors("/api")
    with pytest.raises(InvalidError, match="/api"):
        app.cors("/api", Cors(max_age=1))


def test_a_policy_is_a_value() -> None:
    policy: Any = Cors(max_age=1)
    assert policy == Cors(max_age=1) != Cors()
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.max_age = 2
