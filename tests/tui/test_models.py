"""The shelf in the app: pulled from a hub on loopback, checked, stopped, converted, planned, removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli_w
from textual.pilot import Pilot

from escl.shelf.gguf_header import read_gguf_header
from escl.shelf.inventory import Description
from escl.tui.app import EsclApp
from escl.tui.screens.models import ModelsScreen
from escl.tui.screens.text import TextScreen
from tests.checkpoints import write_qwen2
from tests.gguf_bytes import gguf_bytes, key, text
from tests.hub_server import Hub, running_hub
from tests.tiny_gguf import Script, write_model
from tests.tui.driving import drive, seen, type_keys, until
from tests.tui.hostile import assert_harmless
from tests.tui.shelves import shelf_model
from tests.tui.test_snapshots import assert_looks_as_before, settled

REPOSITORY = "hf.co/maker/toy-GGUF"
FILE = "toy-Q4_K_M.gguf"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with one model, asked by the processes that the app starts."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("LLAMA_CACHE", str(folder / "llama"))
    content = write_model(folder / "m.gguf", Script(table={})).read_bytes()
    with running_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        server.add("maker/toy-GGUF", {FILE: content})
        yield server


async def pull(app: EsclApp, pilot: Pilot[None], name: str = REPOSITORY) -> None:
    """Ask for a model by its repository."""
    await type_keys(pilot, "a")
    await until(app, pilot, "opens connections")
    await type_keys(pilot, *name, "enter")


def test_a_model_is_pulled_verified_and_removed_once_that_was_agreed_to(folder: Path, hub: Hub) -> None:
    files = folder / "home" / "gguf"

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "This machine is ready")
        await type_keys(pilot, "m")
        await until(app, pilot, "demo/warm")
        await pull(app, pilot)
        await until(app, pilot, f"Done: pull {REPOSITORY}")
        await type_keys(pilot, "escape")
        await until(app, pilot, "toy-GGUF:Q4_K_M")
        while "maker" not in _under_cursor(app):
            await type_keys(pilot, "j")
        await type_keys(pilot, "v")
        shown = await until(app, pilot, "Done: verify")
        assert "ok" in shown
        await type_keys(pilot, "escape")
        next(files.rglob(FILE)).write_bytes(b"other")
        await type_keys(pilot, "v")
        shown = await until(app, pilot, "Something is wrong: verify")
        assert "has changed" in shown
        await type_keys(pilot, "escape", "x")
        await until(app, pilot, "There is no undo")
        await type_keys(pilot, "escape")
        assert list(files.rglob(FILE))
        await type_keys(pilot, "x")
        await until(app, pilot, "There is no undo")
        await type_keys(pilot, "enter")
        for _ in range(500):
            await pilot.pause(0.01)
            if "maker" not in seen(app):
                break
        assert not list(files.rglob(FILE))

    drive(steps, size=(160, 48))


def _under_cursor(app: EsclApp) -> str:
    assert isinstance(app.screen, ModelsScreen)
    model = app.screen._chosen
    return "" if model is None else model.name


def test_a_pull_that_is_stopped_keeps_what_was_received_and_ends_with_the_app(folder: Path, hub: Hub) -> None:
    hub.faults.stall[FILE] = 60_000

    async def stopped(app: EsclApp, pilot: Pilot[None]) -> None:
        await until(app, pilot, "This machine is ready")
        await type_keys(pilot, "m")
        await until(app, pilot, "demo/warm")
        await pull(app, pilot)
        while not hub.faults.stalled.is_set():
            await pilot.pause(0.02)
        work = app.shelf_work
        assert work is not None
        await type_keys(pilot, "escape", "m")
        await until(app, pilot, f"pull {REPOSITORY}")
        await type_keys(pilot, "s")
        while not work.is_over:
            await pilot.pause(0.02)
        assert work.ended is None
        hub.faults.released.set()
        while app.shelf_work is not None:
            await pilot.pause(0.02)
        await pull(app, pilot)
        await until(app, pilot, "Done: pull")

    drive(stopped, size=(160, 48))
    first, second = hub.starts(FILE)
    assert (first, second > 0) == (0, True)


def test_a_model_that_cannot_be_had_says_what_to_do(folder: Path, hub: Hub) -> None:
    hub.add("maker/closed", {"m-Q4_K_M.gguf": b"x" * 100_000}, gated=True)

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "demo/warm")
        for name, words in (
            ("hf.co/maker/none", "or does not show it"),
            ("hf.co/maker/closed", "accept its conditions"),
        ):
            await pull(app, pilot, name)
            await until(app, pilot, "This did not work")
            assert words in seen(app)
            await type_keys(pilot, "escape")

    drive(steps, size=(120, 40))


def test_a_model_of_the_shelf_is_pulled_only_once_the_network_was_agreed_to(folder: Path, hub: Hub) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "demo/warm")
        while _under_cursor(app) != "esc-role":
            await type_keys(pilot, "j")
        await type_keys(pilot, "p")
        await until(app, pilot, "opens connections")
        await type_keys(pilot, "escape")
        assert app.shelf_work is None
        assert hub.requests == []
        await type_keys(pilot, "p")
        await until(app, pilot, "opens connections")
        await type_keys(pilot, "enter")
        # The hub on loopback has no such repository.
        await until(app, pilot, "ESC-Role, or does not show")
        assert hub.requests

    drive(steps, size=(120, 40))


def test_a_checkpoint_folder_is_converted(folder: Path) -> None:
    write_qwen2(folder / "src")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "demo/warm")
        await type_keys(pilot, "c")
        await until(app, pilot, "folder of the checkpoint")
        await type_keys(pilot, "enter")
        await type_keys(pilot, *"src", "tab", *["backspace"] * 6, *"q8_0", "enter")
        await until(app, pilot, "Done: convert")

    drive(steps, size=(120, 40))
    assert read_gguf_header(folder / "src-Q8_0.gguf").architecture == "qwen2"


def test_the_plan_is_that_of_the_marked_models(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "demo/warm")
        await type_keys(pilot, "space", "j", "j", "j", "j", "space", "w")
        shown = await until(app, pilot, "Chosen:")
        assert "What fits: demo/curt, demo/warm" in shown
        for name in ("demo/seeker", "curt.gguf", "warm.gguf", "demo/scorer"):
            assert name in shown

    drive(steps, size=(160, 48))


def test_no_column_of_the_plan_is_cut_where_there_is_little_room(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "demo/warm")
        await type_keys(pilot, "w")
        shown = await until(app, pilot, "Strategy")
        assert "Process   Sum" in shown
        while "Threads" not in (shown := seen(app)):
            await type_keys(pilot, "j")
        assert "…" not in shown

    drive(steps)


def test_a_table_that_is_wider_than_the_screen_scrolls_sideways(folder: Path) -> None:
    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(TextScreen(app.words, title="wide", text=f"begin {'-' * 90} end", is_table=True))
        assert "end" not in await until(app, pilot, "begin")
        await type_keys(pilot, *["right"] * 30)
        await until(app, pilot, "- end")
        await type_keys(pilot, *["left"] * 30)
        await until(app, pilot, "begin -")

    drive(steps)


def test_what_a_file_says_of_itself_is_shown_harmlessly(folder: Path) -> None:
    hostile = "\x1b]0;owned\x07[red]qwen\u202e"
    shelf = folder / "home" / "gguf"
    shelf.mkdir(parents=True)
    header = gguf_bytes([key("general.architecture", text(hostile))])
    (shelf / "a.gguf").write_bytes(header)
    manifest = {"name": "a", "role": "supporter", "description": "x", "architecture": "qwen2", "licence": "[b]MIT[/b]"}
    (shelf / "a.toml").write_text(tomli_w.dumps({**manifest, "file": {"path": "a.gguf"}}), encoding="utf-8")

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "owned")
        assert "[b]MIT[/b]" in seen(app)
        assert_harmless(app)

    drive(steps, size=(120, 40))


@pytest.mark.parametrize("theme", ["escl-dark", "escl-light"])
@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_the_shelf_looks_as_before(
    folder: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], theme: str
) -> None:
    shelf = [
        shelf_model("demo/seeker", role="seeker"),
        shelf_model("my-model", role="supporter", size_bytes=4_700_000_000),
        shelf_model("esc-rank", role="scorer", state="not here", size_bytes=None),
    ]
    described = Description(
        name="demo/seeker",
        path="gguf/demo/seeker.gguf",
        state="here",
        architecture="qwen2",
        quantization=None,
        size_bytes=4_000_000,
        n_adapters=0,
        context_tokens=4096,
        template=None,
        template_sha256=None,
        manifest=None,
    )
    monkeypatch.setattr("escl.shelf.inventory.inventory", lambda: shelf)
    monkeypatch.setattr("escl.shelf.inventory.describe", lambda name: described)
    drawn: dict[str, str] = {}

    async def steps(app: EsclApp, pilot: Pilot[None]) -> None:
        await app.push_screen(ModelsScreen(app.words))
        await until(app, pilot, "gguf/demo/seeker.gguf")
        await type_keys(pilot, "j", "space")
        drawn["models"] = await settled(app, pilot)
        await type_keys(pilot, "c")
        await until(app, pilot, "folder of the checkpoint")
        drawn["models-convert"] = await settled(app, pilot)

    drive(steps, size=size, theme=theme)
    for screen, picture in drawn.items():
        assert_looks_as_before(screen, picture, size=size, theme=theme)
