"""ESC-Eval's scripts are read as text; a part that is not where it should be is refused with its place."""

from __future__ import annotations

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from escl.core.dialogue import Speaker
from escl.core.dimension import Dimension, Language
from escl.core.protocol import load_protocol
from escl.core.wording import SamplingDefaults
from escl.errors import ProtocolError
from escl.upstream.protocol import read_protocol, write_protocol
from escl.upstream.script import find_scripts
from tests.esc_eval_scripts import DEFAULT_SYSTEM, EVALUATE, MODELING, SCORE, write_scripts
from tests.gguf_bytes import STRING, array, gguf_bytes, key, string, text

RUNS = "\nraise SystemExit('this script was run')\n"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ESCL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def sha256(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_the_words_are_taken_to_the_letter_and_nothing_is_run(tmp_path: Path) -> None:
    folder = write_scripts(tmp_path / "copy", evaluate=RUNS + EVALUATE, score=RUNS + SCORE)
    (folder / "modeling_internlm2.py").write_text(RUNS + MODELING, encoding="utf-8")
    protocol = read_protocol(folder, modeling=folder / "modeling_internlm2.py")
    english, chinese = (protocol.wording(language) for language in (Language.ENGLISH, Language.CHINESE))
    assert english.seeker_prompt == "Play this person:'{card}\n' Talk like people do, one thing at a time."
    assert chinese.greeting == "您好，请说吧！"
    assert english.scorer_system == DEFAULT_SYSTEM
    assert english.rubrics[Dimension.FLUENCY].text == "Is it fluent, and in English?\n0: no\n4: yes\n"
    assert chinese.rubrics[Dimension.FLUENCY].text == "Is it fluent?\n0: no\n4: yes\n"
    assert (english.seeker_label, english.supporter_label) == ("ESC-Role：", "AI assistant：")


def test_rounds_and_sampling_are_upstreams(tmp_path: Path) -> None:
    protocol = read_protocol(write_scripts(tmp_path / "copy"))
    assert protocol.default_rounds() == 3
    assert protocol.default_sampling(Speaker.SEEKER).max_tokens == 384
    assert protocol.default_sampling(Speaker.SUPPORTER).max_tokens == 512
    assert protocol.origin
    assert protocol.origin.supporters["ShortHelper"] == SamplingDefaults(max_tokens=128, temperature=0.0)


def test_the_hash_of_each_source_is_kept_but_no_part_of_the_protocols_own(tmp_path: Path) -> None:
    plain = read_protocol(write_scripts(tmp_path / "plain"))
    commented = read_protocol(write_scripts(tmp_path / "commented", score="# more\n" + SCORE))
    assert plain.origin
    assert commented.origin
    assert plain.origin.sources == {"evaluate.py": sha256(EVALUATE), "score.py": sha256(SCORE)}
    assert commented.origin.sources["score.py"] == sha256("# more\n" + SCORE)
    assert commented.sha256() == plain.sha256()


def test_an_imported_protocol_is_found_by_its_name_as_it_was_read(tmp_path: Path, home: Path) -> None:
    protocol = read_protocol(write_scripts(tmp_path / "copy"))
    assert write_protocol(protocol) == home / "protocols" / "esc-eval.json"
    assert load_protocol("esc-eval") == protocol
    assert [path.name for path in (home / "protocols").iterdir()] == ["esc-eval.json"]


def test_without_a_system_message_it_says_what_happens_instead(tmp_path: Path) -> None:
    protocol = read_protocol(write_scripts(tmp_path / "copy"))
    assert protocol.wording(Language.ENGLISH).scorer_system is None
    assert protocol.origin
    assert "its own default holds" in protocol.origin.notes[0]


def test_a_label_that_the_rewriting_misses_is_noted(tmp_path: Path) -> None:
    misspelt = EVALUATE.replace('"AI assistant：" +', '"AI assitant：" +')
    folder = write_scripts(tmp_path / "copy", evaluate=misspelt)
    protocol = read_protocol(folder, modeling=folder)
    assert protocol.origin
    assert [note for note in protocol.origin.notes if "does not rewrite the label AI assitant：" in note]
    assert protocol.wording(Language.ENGLISH).supporter_label == "AI assitant："


def test_the_system_message_comes_from_the_converted_scorer_on_the_shelf(tmp_path: Path, home: Path) -> None:
    shelf = home / "gguf"
    shelf.mkdir(parents=True)
    (shelf / "esc-rank.toml").write_text(
        'name = "esc-rank"\nrole = "scorer"\ndescription = ""\narchitecture = "internlm2"\nlicence = ""\n'
        '[file]\npath = "m.gguf"\n'
    )
    keys = [
        key("escl.chat.default_system_prompt", text(DEFAULT_SYSTEM)),
        key("escl.source.files", array(STRING, [string("config.json"), string("modeling_internlm2.py")])),
        key("escl.source.sha256", array(STRING, [string("0" * 64), string("a" * 64)])),
    ]
    (shelf / "m.gguf").write_bytes(gguf_bytes(keys))
    protocol = read_protocol(write_scripts(tmp_path / "copy"))
    assert protocol.wording(Language.CHINESE).scorer_system == DEFAULT_SYSTEM
    assert protocol.origin
    assert protocol.origin.sources["modeling_internlm2.py"] == "a" * 64


@pytest.mark.parametrize(
    ("script", "old", "new", "said"),
    [
        ("evaluate", "def run_rolellm", "def run_all", "evaluate.py: expected a function run_rolellm, once; found 0"),
        ("evaluate", "card['base'] + ", "str(card) + ", "expected a prompt made of text and the card's base"),
        ("evaluate", "card['base'] + \\", "card['base'] + args.mood + \\", "expected nothing but text and the card's"),
        ("evaluate", '"content": "您好，请说吧！"', '"content": args.hello', "with a greeting in it|of the greeting"),
        ("evaluate", "range(3)", "range(args.rounds)", "expected for ... in range"),
        ("evaluate", "range(3)", "range(0)", "rounds"),
        ("evaluate", "helper_log = []", "helper_log = [visitor_log[1]]", "helper_log to begin as an empty list"),
        ("evaluate", "helper.__call__(helper_log)", "helper.__call__(visitor_log)", "expected a round of this order"),
        ("evaluate", "helper.__call__(helper_log)", "helper.__call__(helper_log[-1:])", "only calls of the two models"),
        ("evaluate", "helper_log.append(other)", "helper_log.append(own)", "expected a round of this order"),
        ("evaluate", '"ESC-Role：" + entry', "args.label + entry", "for messages of the role assistant"),
        ("evaluate", "max_new_tokens=512", "max_new_tokens=args.n", "line 14: expected max_new_tokens=a number"),
        ("evaluate", "[BigHelper, ShortHelper]", "args.helpers", "expected helpers = .classes of supporters"),
        ("evaluate", "Play this person", "Play {card}, this person", "seeker_prompt holds {card} 2 times"),
        ("evaluate", "def __init__(self)", "def __init__(self", "evaluate.py is no Python that can be read"),
        ("score", "prompt_ZH = ", "rubrics_ZH = ", "expected prompt_ZH = .7 texts., once; found 0"),
        ("score", '"Is it varied?\\n", "Does', '"Does', "expected prompt_EN = .7 texts"),
        ("score", '"wish"]', "wish]", "expected dimention_list = .7 texts"),
        ("score", '"tech", "overall"]', '"skill", "overall"]', "expected key_list of fluency"),
        ("score", '["0", "1", "2", "3", "4"]', '["4", "3", "2", "1", "0"]', "label_list of the texts 0 to 4"),
        ("score", "if ('zh' in file)", "if ('cn' in file)", "if 'zh' in the file's name"),
        ("score", "'\\n\\n'.join(talk)", "str(talk)", "expected the dialogue as 'TEXT'.join"),
        ("score", "text.strip()", "text", "expected nothing but text, the rubric, text.strip"),
        ("score", "dimention + ' mark", "dimention[0] + ' mark", "expected nothing but text, the rubric"),
        ("score", "do_sample=False", "do_sample=True", "every call of chat with do_sample=False"),
        ("score", "history=[])", "history=[], meta_instruction='')", "without meta_instruction"),
        ("score", "ESC-RANK/tech_en", "ESC-RANK/tech", "adapters for en, such as fluency_en"),
        ("score", "type=key_list[at]", "type=key_list[0]", "the adapter key_list.at"),
        ("score", "] = -1", "] = 0", "-1 when there is none"),
        ("score", "                        break\n", "", "-1 when there is none"),
    ],
)
def test_a_script_of_another_shape_is_refused_with_what_was_expected(
    tmp_path: Path, script: str, old: str, new: str, said: str
) -> None:
    content = {"evaluate": EVALUATE, "score": SCORE}
    assert old in content[script]
    content[script] = content[script].replace(old, new)
    folder = write_scripts(tmp_path / "copy", **content)
    with pytest.raises(ProtocolError, match=said.replace("{", r"\{")):
        read_protocol(folder)


def test_a_refusal_names_the_line(tmp_path: Path) -> None:
    folder = write_scripts(tmp_path / "copy", evaluate=EVALUATE.replace("range(3)", "range(n)"))
    line = EVALUATE.split("range(3)")[0].count("\n") + 1
    with pytest.raises(ProtocolError, match=f"evaluate.py, line {line}: "):
        read_protocol(folder)


@pytest.mark.parametrize("content", ["x = " + "(" * 10_000, "x = " + "+".join(["1"] * 100_000), "\0", "x" * (1 << 21)])
def test_a_hostile_script_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(ProtocolError, match=r"score\.py"):
        read_protocol(write_scripts(tmp_path / "copy", score=content))


def write_zip(path: Path, files: dict[str, str], *, mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def test_the_zip_file_of_a_repository_will_do_and_is_not_unpacked(tmp_path: Path) -> None:
    files = {"ESC-Eval-main/evaluate.py": EVALUATE, "ESC-Eval-main/score.py": SCORE, "ESC-Eval-main/data/score.py": ""}
    packed = write_zip(tmp_path / "ESC-Eval-main.zip", files)
    before = set(tmp_path.rglob("*"))
    assert read_protocol(packed).sha256() == read_protocol(write_scripts(tmp_path.with_name("copy"))).sha256()
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("files", "mode", "said"),
    [
        ({"a/evaluate.py": EVALUATE}, stat.S_IFREG, "holds 0 files named score.py"),
        ({"a/evaluate.py": "", "b/evaluate.py": "", "a/score.py": ""}, stat.S_IFREG, "holds 2 files named evaluate.py"),
        ({"evaluate.py": EVALUATE, "score.py": "#" * (1 << 24)}, stat.S_IFREG, "score.py is larger than 1 MiB"),
        ({"evaluate.py": "/etc/passwd", "score.py": SCORE}, stat.S_IFLNK, "holds 0 files named evaluate.py"),
    ],
)
def test_an_odd_zip_file_is_refused(tmp_path: Path, files: dict[str, str], mode: int, said: str) -> None:
    with pytest.raises(ProtocolError, match=said):
        read_protocol(write_zip(tmp_path / "odd.zip", files, mode=mode))


def test_a_damaged_zip_file_is_refused_whichever_byte_it_is(tmp_path: Path) -> None:
    names = ["a/evaluate.py", "a/score.py"]
    path = write_zip(tmp_path / "whole.zip", dict.fromkeys(names, "x = [1, 2, 3, 4]\n" * 9))
    whole, damaged = path.read_bytes(), tmp_path / "damaged.zip"
    outcomes = set()
    for at in range(len(whole)):
        for changed in (
            *(whole[:at] + bytes([whole[at] ^ mask]) + whole[at + 1 :] for mask in (1, 8, 255)),
            whole[:at],
        ):
            damaged.write_bytes(changed)
            try:
                find_scripts(damaged, ("evaluate.py", "score.py"))
                outcomes.add("read")
            except ProtocolError:
                outcomes.add("refused")
    # Some bytes, such as a date's, mean nothing here.
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_file_that_no_repository_comes_in_is_refused(tmp_path: Path, compression: int) -> None:
    with zipfile.ZipFile(tmp_path / "odd.zip", "w", compression) as archive:
        archive.writestr("evaluate.py", EVALUATE)
        archive.writestr("score.py", SCORE)
    with pytest.raises(ProtocolError, match="packed in another way"):
        read_protocol(tmp_path / "odd.zip")


def test_what_is_neither_a_folder_nor_a_zip_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no zip")
    with pytest.raises(ProtocolError, match="not a zip file"):
        read_protocol(tmp_path / "x.tar")
    with pytest.raises(ProtocolError, match="is not there"):
        read_protocol(tmp_path / "nowhere")


def test_a_modeling_file_without_a_system_message_is_refused(tmp_path: Path) -> None:
    (tmp_path / "modeling_internlm2.py").write_text("x = 1\n")
    with pytest.raises(ProtocolError, match="has no default system prompt"):
        read_protocol(write_scripts(tmp_path / "copy"), modeling=tmp_path)
