"""Folders of files, as the package hands them to the library; what the library makes of them has tests of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hasty import App, Client, InvalidError, IoError, StateError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small site."""
    root = tmp_path / "site"
    (root / "sub").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "index.html").write_text("<h1>Home</h1>")
    (root / "sub" / "data.json").write_text("{}")
    (root / ".secret").write_text("hidden")
    (root / "start.html").write_text("start")
    (tmp_path / "outside.txt").write_text("outside")
    return root


def test_files_are_served_below_the_prefix(folder: Path, app: App, client: Client) -> None:
    app.static("/assets", folder)
    answer = client.get("/assets/sub/data.json")
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (200, "{}", "application/json")
    assert client.get("/assets/").text == "<h1>Home</h1>"
    assert client.get("/sub/data.json").status_code == 404


def test_a_folder_may_be_a_string_and_any_path(folder: Path, app: App, client: Client) -> None:
    app.static("/one", str(folder))
    app.static("/two", folder)
    assert client.get("/one/start.html").text == client.get("/two/start.html").text == "start"


def test_nothing_outside_is_reached_and_nothing_hidden(folder: Path, app: App, client: Client) -> None:
    app.static("/", folder)
    for path in ("/../outside.txt", "/%2e%2e/outside.txt", "/sub/..%2f..%2foutside.txt", "/.secret"):
        assert client.get(path).status_code in (400, 404), path


def test_a_file_is_not_sent_again_to_who_has_it(folder: Path, app: App, client: Client) -> None:
    app.static("/", folder)
    tag = client.get("/start.html").headers["etag"]
    assert client.get("/start.html", headers={"If-None-Match": tag}).status_code == 304
    assert client.get("/start.html", headers={"Range": "bytes=1-2"}).text == "ta"


def test_dotfiles_and_listings_are_served_on_demand(folder: Path, app: App, client: Client) -> None:
    app.static("/open", folder, list=True, dotfiles=True)
    app.static("/closed", folder)
    assert client.get("/open/.secret").text == "hidden"
    assert "data.json" in client.get("/open/sub/").text
    assert client.get("/closed/sub/").status_code == 404


def test_index_fallback_and_cache_control_are_taken(folder: Path, app: App, client: Client) -> None:
    app.static("/app", folder, index="start.html", fallback="index.html", cache_control="max-age=60")
    app.static("/bare", folder, index=None)
    assert client.get("/app/").text == "start"
    assert client.get("/app/no/such/page").text == "<h1>Home</h1>"
    assert client.get("/app/").headers["cache-control"] == "max-age=60"
    assert client.get("/bare/").status_code == 404


def test_a_folder_that_is_not_there_is_an_os_error_that_names_it(tmp_path: Path, app: App) -> None:
    with pytest.raises(OSError, match="nowhere"):
        app.static("/", tmp_path / "nowhere")
    with pytest.raises(IoError):
        app.static("/", tmp_path / "nowhere")


def test_a_prefix_that_conflicts_is_refused(folder: Path, app: App) -> None:
    app.get("/files/*")(lambda req: "")
    with pytest.raises(InvalidError, match="/files"):
        app.static("/files", folder)


def test_a_nul_is_refused_not_cut(folder: Path, app: App) -> None:
    with pytest.raises(InvalidError, match="NUL"):
        app.static("/", str(folder) + "\0more")
    with pytest.raises(InvalidError, match="NUL"):
        app.static("/", folder, fallback="index.html\0more")


def test_a_folder_after_start_is_refused(folder: Path, app: App) -> None:
    with app.start(), pytest.raises(StateError, match=r"static\('/'\) comes after the app has started"):
        app.static("/", folder)
