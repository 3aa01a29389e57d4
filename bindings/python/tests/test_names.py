"""Names of routes, and the urls that are built from them."""

from __future__ import annotations

import pytest

from hasty import App, Client, HastyError, InvalidError, NotFoundError, Request


def echo(req: Request) -> dict[str, object]:
    return {"params": dict(req.params), "query": {name: req.query.getall(name) for name in req.query}}


@pytest.fixture
def named(app: App) -> App:
    app.get("/", name="home")(echo)
    app.get("/users/:id", name="user")(echo)
    app.post("/users/:id/notes/:note", name="note")(echo)
    app.get("/files/*rest", name="file")(echo)
    app.get("/tree/*", name="tree")(echo)
    return app


@pytest.mark.parametrize(
    ("name", "values", "url"),
    [
        ("home", {}, "/"),
        ("user", {"id": 7}, "/users/7"),
        ("user", {"id": "Ada"}, "/users/Ada"),
        ("note", {"id": 7, "note": "x"}, "/users/7/notes/x"),
        ("file", {"rest": "a/b.txt"}, "/files/a/b.txt"),
        ("file", {"rest": "a b/c?d#e"}, "/files/a%20b/c%3Fd%23e"),
    ],
)
def test_a_url_has_values_in_the_place_of_parameters(
    name: str, values: dict[str, object], url: str, named: App
) -> None:
    assert named.url(name, **values) == url


@pytest.mark.parametrize(
    "value",
    [
        "a/b",
        "a b",
        "100%",
        "%2F",
        "a?b=c&d",
        "a#b",
        "caf\u00e9",
        "\u4f60\u597d",
        "a+b",
        ";,:@&=$!*'()",
        "~._-",
        "\U0001f600",
    ],
)
def test_every_value_comes_back_from_its_url(value: str, named: App, client: Client) -> None:
    assert client.get(named.url("user", id=value)).json()["params"] == {"id": value}
    assert client.post(named.url("note", id="1", note=value)).json()["params"] == {"id": "1", "note": value}
    # A rest keeps its slashes.
    assert client.get(named.url("file", rest=f"x/{value}/y")).json()["params"] == {"rest": f"x/{value}/y"}


@pytest.mark.parametrize("values", [{"id": "."}, {"id": ".."}, {"rest": "a/../b"}, {"rest": "./a"}])
def test_what_clients_fold_away_is_refused(values: dict[str, str], named: App) -> None:
    """`/users/..` is `/` for browsers, encoded or not: such a url would lead elsewhere."""
    with pytest.raises(InvalidError, match=r"normalise|\.\."):
        named.url("user" if "id" in values else "file", **values)


def test_other_values_make_a_query(named: App, client: Client) -> None:
    assert named.url("user", id=7, page=2) == "/users/7?page=2"
    assert named.url("home", q="a b&c") in ("/?q=a+b%26c", "/?q=a%20b%26c")
    got = client.get(named.url("user", id=7, tag=["a", "b"], q="\u00e9=1")).json()
    assert got == {"params": {"id": "7"}, "query": {"tag": ["a", "b"], "q": ["\u00e9=1"]}}


def test_an_unnamed_rest_is_given_by_its_star(named: App, client: Client) -> None:
    url = named.url("tree", **{"*": "a/b c"})
    assert (url, client.get(url).json()["params"]) == ("/tree/a/b%20c", {"*": "a/b c"})


def test_a_missing_value_is_named(named: App) -> None:
    with pytest.raises(InvalidError, match="note") as caught:
        named.url("note", id=7)
    assert isinstance(caught.value, ValueError)


def test_none_is_no_value(named: App) -> None:
    with pytest.raises(InvalidError, match=r"url\('user'\): 'page' is None: leave it out or give a value"):
        named.url("user", id=7, page=None)
    with pytest.raises(InvalidError, match=r"url\('user'\) needs a value for 'id', which is part of the path"):
        named.url("user", id=None)


def test_a_rest_with_a_slash_before_it_would_lead_nowhere(named: App) -> None:
    with pytest.raises(InvalidError, match="'rest' is '/a': write the rest of the path without its leading slash"):
        named.url("file", rest="/a")


def test_an_empty_value_would_lead_nowhere(named: App) -> None:
    with pytest.raises(InvalidError, match="id"):
        named.url("user", id="")


def test_an_unknown_name_is_refused_with_the_known_ones(named: App) -> None:
    with pytest.raises(NotFoundError, match="nobody") as caught:
        named.url("nobody")
    assert isinstance(caught.value, LookupError)
    assert "user" in str(caught.value) and "note" in str(caught.value)


def test_a_name_is_that_of_one_route(named: App) -> None:
    with pytest.raises(HastyError, match="user"):
        named.get("/people/:id", name="user")(echo)
    # The second one is not there under half a name.
    assert named.url("user", id=1) == "/users/1"
    with named.test_client() as client:
        assert client.get("/people/1").status_code == 404


def test_a_refused_route_leaves_no_name(named: App) -> None:
    with pytest.raises(InvalidError):
        named.get("/users/:other", name="conflicting")(echo)
    with pytest.raises(NotFoundError):
        named.url("conflicting", other=1)


def test_a_route_is_called_as_its_function(app: App) -> None:
    @app.get("/by/:who")
    def signature(req: Request) -> str:
        return "signed"

    assert app.url("signature", who="me") == "/by/me"


def test_a_function_of_several_routes_needs_names(app: App) -> None:
    app.get("/a/:id")(echo)
    app.get("/b/:id")(echo)
    with pytest.raises(InvalidError, match=r"/a/:id.*/b/:id"):
        app.url("echo", id=1)


def test_methods_of_one_path_share_its_url(app: App) -> None:
    app.get("/things/:id", name="thing")(echo)
    app.put("/things/:id")(echo)
    app.delete("/things/:id")(echo)
    assert app.url("thing", id=3) == app.url("echo", id=3) == "/things/3"


def test_urls_are_built_inside_handlers(app: App, client: Client) -> None:
    app.get("/users/:id", name="user")(echo)
    app.get("/where")(lambda req: app.url("user", id=req.query["id"]))
    assert client.get("/where?id=a%2Fb").text == "/users/a%2Fb"


def test_a_pattern_with_encoded_letters_is_kept(app: App, client: Client) -> None:
    app.get("/caf\u00e9/:id", name="cafe")(echo)
    url = app.url("cafe", id=1)
    assert url == "/caf%C3%A9/1"
    assert client.get(url).json()["params"] == {"id": "1"}


def test_a_name_is_text(app: App) -> None:
    with pytest.raises((InvalidError, TypeError)):
        app.get("/a", name=7)(echo)  # type: ignore[arg-type]
