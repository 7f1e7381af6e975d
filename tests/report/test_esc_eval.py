"""What was imported goes out again as it came, byte for byte, and labels are written as upstream writes them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner, Result

from escl.cli.main import app
from escl.core.dialogue import Speaker, Turn
from escl.core.dimension import Dimension, Language
from escl.core.settings import ImportSettings, JudgingSettings
from escl.errors import ExitCode, StorageError, UsageError
from escl.report.esc_eval import export_esc_eval
from escl.store.database import Database
from escl.store.records import Reading, TurnRow
from escl.store.run import RunStore
from escl.store.upstream import SUPPORTER_LABELS, language_of, read_upstream
from tests.runs import CARD, PROTOCOL, begin, settings

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "esc-eval"
ODD = [
    "AI assistant： Hi. \n",
    "ESC-Role：AI assistant：I said “hm”\u2028 \x7f \\ / é 你好 👩‍👩‍👧\t",
    "AI assistant：\n\n1. **One**\n",
]


def write(path: Path, dialogues: Mapping[str, Sequence[str]]) -> Path:
    path.write_bytes(json.dumps(dialogues, ensure_ascii=False, indent=4).encode())
    return path


def imported(path: Path, *files: Path) -> RunStore:
    """Return a run of these files' dialogues, nothing scored."""
    read = {file.stem: read_upstream(file) for file in files}
    label = next(iter(read.values())).supporter_label
    made_of = ImportSettings(
        files=dict.fromkeys(read, "0" * 64),
        protocol_sha256=PROTOCOL.sha256(),
        supporter_label=msgspec.UNSET if label == SUPPORTER_LABELS[0] else label,
    )
    store = RunStore.begin(Database.writer(path), made_of, PROTOCOL, command="test", versions={})
    for supporter, file in read.items():
        for key, turns in file.dialogues.items():
            store.import_dialogue(card_id=key, language=language_of(turns), supporter=supporter, turns=turns)
    return store


def rate(store: RunStore, labels: Mapping[tuple[str, str], Mapping[str, int]]) -> None:
    """Store a reading for each label by (supporter, key) and dimension, from replies like the published scorer's."""
    judging_id = store.add_judging(
        JudgingSettings(
            generation_fingerprint="", protocol_sha256="", scorer="s", sha256="", adapters={}, llama_cpp="0"
        )
    )
    for dialogue in store.dialogues():
        for dimension, label in labels.get((dialogue.supporter, dialogue.card_id), {}).items():
            reading = Reading(
                dialogue_id=dialogue.id,
                dimension=Dimension(dimension),
                reply="no idea" if label < 0 else f"The score is {label}.",
                label=None,
                probabilities=None,
                off_label_mass=None,
                drafted=False,
                busy_s=0.0,
            )
            store.add_reading(judging_id, reading)


@pytest.mark.parametrize("label", SUPPORTER_LABELS)
def test_imported_dialogues_go_out_byte_for_byte(tmp_path: Path, label: str) -> None:
    def labelled(messages: list[str]) -> list[str]:
        return [message.replace(SUPPORTER_LABELS[0], label, 1) for message in messages]

    odd = write(tmp_path / "odd_en.json", {"0": labelled(ODD), "10": labelled(ODD), "2": labelled(ODD)})
    mixed = write(tmp_path / "My model.json", {"0": labelled([ODD[0], "ESC-Role：难", ODD[2]]), "1": labelled(ODD)})
    export_esc_eval(imported(tmp_path / "run.db", odd, mixed), tmp_path / "out")
    written = {path.name: path.read_bytes() for path in (tmp_path / "out" / "result").iterdir()}
    assert written == {"odd_en.json": odd.read_bytes(), "My_model.json": mixed.read_bytes()}
    assert not (tmp_path / "out" / "score").exists()


@pytest.mark.skipif(not SHARED.is_dir(), reason="upstream's sample files are not here")
def test_upstreams_own_files_go_out_byte_for_byte(tmp_path: Path) -> None:
    files = sorted((SHARED / "result").glob("*.json"))
    store = imported(tmp_path / "run.db", *files)
    scores = {path.stem: json.loads(path.read_bytes()) for path in (SHARED / "score").glob("*.json")}
    rate(store, {(name, key): labels for name, file in scores.items() for key, labels in file.items()})
    export_esc_eval(store, tmp_path / "out")
    for kind in ("result", "score"):
        published = {path.name: path.read_bytes() for path in (SHARED / kind).glob("*.json")}
        assert {path.name: path.read_bytes() for path in (tmp_path / "out" / kind).iterdir()} == published


def test_a_score_file_has_the_seven_keys_in_upstreams_order_and_minus_one_for_no_digit(tmp_path: Path) -> None:
    store = imported(tmp_path / "run.db", write(tmp_path / "m_en.json", {"0": ODD, "1": ODD}))
    rate(store, {("m_en", "0"): dict.fromkeys(reversed([*Dimension]), -1) | {"tech": 4}})
    result, score = export_esc_eval(store, tmp_path / "out")
    assert (result.n_dialogues, result.n_left_out, score.n_dialogues, score.n_left_out) == (2, 0, 1, 1)
    expected = (
        '{\n    "0": {\n        "fluency": -1,\n        "diversity": -1,\n        "empathic": -1,\n'
        '        "suggestion": -1,\n        "human": -1,\n        "tech": 4,\n        "overall": -1\n    }\n}'
    )
    assert (tmp_path / "out" / "score" / "m_en.json").read_text() == expected


@pytest.mark.parametrize("whole", [True, False])
def test_a_dialogue_with_some_readings_missing_is_left_out_and_counted(tmp_path: Path, *, whole: bool) -> None:
    store = imported(tmp_path / "run.db", write(tmp_path / "m_en.json", {"0": ODD, "1": ODD, "2": ODD}))
    all_seven: dict[str, int] = dict.fromkeys(Dimension, 3)
    six: dict[str, int] = {dimension: 3 for dimension in Dimension if dimension is not Dimension.OVERALL}
    rate(store, {("m_en", "1"): six} | ({("m_en", "0"): all_seven} if whole else {}))
    _, score = export_esc_eval(store, tmp_path / "out")
    written = json.loads((tmp_path / "out" / "score" / "m_en.json").read_text())
    assert written == ({"0": all_seven} if whole else {})
    assert (score.n_dialogues, score.n_left_out) == (len(written), 3 - len(written))


def test_a_simulated_runs_keys_are_places_of_cards_and_unfinished_dialogues_are_left_out(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    chinese = msgspec.structs.replace(CARD, id="c3", language=Language.CHINESE)
    store.add_cards([msgspec.structs.replace(CARD, id="c2"), chinese])
    store.plan_dialogues([("c2", Language.ENGLISH, "supporter", 0), ("c3", Language.CHINESE, "supporter", 0)])
    store.plan_dialogues([("c2", Language.ENGLISH, "supporter", 1)])
    finish(store, {2, 3, 4})
    files = export_esc_eval(store, tmp_path / "out")
    keys = {Path(file.path).name: [*json.loads(Path(file.path).read_text("utf-8"))] for file in files}
    assert keys == {"supporter_en.json": ["1"], "supporter_zh.json": ["0"], "supporter_en_repeat2.json": ["0"]}
    assert [file.n_left_out for file in files] == [1, 0, 0]


def finish(store: RunStore, dialogue_ids: set[int]) -> None:
    for dialogue_id in dialogue_ids:
        store.set_state(dialogue_id, "speaking")
        store.add_turn(dialogue_id, 0, TurnRow(turn=Turn(speaker=Speaker.SUPPORTER, text="Hi.")), last=True)


def test_what_is_there_is_not_overwritten(tmp_path: Path) -> None:
    store = imported(tmp_path / "run.db", write(tmp_path / "m_en.json", {"0": ODD}))
    export_esc_eval(store, tmp_path / "out")
    with pytest.raises(StorageError, match=r"m_en\.json is there already"):
        export_esc_eval(store, tmp_path / "out")


def test_no_name_of_a_supporter_leaves_the_folder(tmp_path: Path) -> None:
    path = tmp_path / "run.db"
    speakers = settings().supporters
    named = [msgspec.structs.replace(speakers[0], name=name) for name in ("../../up", "http://h/v1#m", "..")]
    made_of = msgspec.structs.replace(settings(), supporters=tuple(named))
    store = RunStore.begin(Database.writer(path), made_of, PROTOCOL, command="test", versions={})
    store.plan_dialogues((CARD.id, CARD.language, speaker.name, 0) for speaker in named)
    finish(store, {1, 2, 3})
    export_esc_eval(store, tmp_path / "out")
    written = {path.name for path in (tmp_path / "out" / "result").iterdir()}
    assert written == {"__en.json", "_.._up_en.json", "http_h_v1_m_en.json"}


def test_two_supporters_of_one_file_name_are_refused(tmp_path: Path) -> None:
    store = begin(tmp_path / "run.db")
    store.plan_dialogues([("c1", "en", "a/b", 0), ("c1", "en", "a:b", 0)])
    with pytest.raises(UsageError, match=r"would both be written to a_b_en\.json"):
        export_esc_eval(store, tmp_path / "out")


def escl(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["report", *map(str, words)])


def test_the_command_says_what_it_wrote(tmp_path: Path) -> None:
    imported(tmp_path / "run.db", write(tmp_path / "m_en.json", {"0": ODD})).close()
    result = escl(tmp_path / "run.db", "--export", "esc-eval", tmp_path / "out")
    assert result.exit_code == ExitCode.OK, result.output
    assert "m_en.json: 1 dialogue" in result.stdout.replace("\n", "")
    shown = escl(tmp_path / "run.db", "--export", "esc-eval", tmp_path / "again", "--json")
    assert json.loads(shown.stdout)["exported"][0]["n_dialogues"] == 1


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    imported(tmp_path / "run.db", write(tmp_path / "m_en.json", {"0": ODD})).close()
    assert isinstance(escl(tmp_path / "run.db", "--export", "csv", tmp_path / "out").exception, UsageError)
