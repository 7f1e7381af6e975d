"""What names a supporter outside the engines is read strictly, and opens nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import pytest

from escl.core.sampling import Sampling
from escl.errors import EsclError, ManifestError, UsageError
from escl.supporters.addresses import is_loopback
from escl.supporters.outside import EndpointSupporter, PythonSupporter
from escl.supporters.reference import outside_supporter

ROOT = Path(__file__).parents[2]
CODE = "tests.supporters.code:Kind"
CODE_SHA256 = hashlib.sha256((ROOT / "tests/supporters/code.py").read_bytes()).hexdigest()

ENDPOINT = """
name = "Qwen3 on the lab's server"
role = "supporter"
description = "with its own prompt"
notice = "asked over the network"
system_prompt = "You listen."

[endpoint]
url = "https://lab.example:8443/v1/"
model = "qwen3:8b"
dialect = "llama.cpp"
key_env = "LAB_API_KEY"
concurrency = 16
timeout_s = 90

[sampling]
temperature = 0.6
top_k = 20
max_tokens = 300
"""
PYTHON = f"""
name = "mine"
system_prompt = "You listen."

[python]
target = "{CODE}"
processes = 3
timeout_s = 7.5
"""


@pytest.fixture(autouse=True)
def _in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def written(folder: Path, text: str) -> str:
    path = folder / "supporter.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_an_address_with_a_model_is_an_endpoint() -> None:
    found = outside_supporter("http://127.0.0.1:8080/v1/#org/model:8b")
    assert found == EndpointSupporter(name="org/model:8b", url="http://127.0.0.1:8080/v1", model="org/model:8b")
    assert found.target == "http://127.0.0.1:8080/v1#org/model:8b"
    assert found.sha256 == hashlib.sha256(found.target.encode()).hexdigest()
    assert found.told == ("temperature", "top_p", "max_tokens")
    ours = outside_supporter("https://api.openai.com/v1#gpt")
    assert isinstance(ours, EndpointSupporter)
    assert ours.dialect == "openai"


def test_another_dialect_is_another_supporter(tmp_path: Path) -> None:
    found = [
        outside_supporter(written(tmp_path, ENDPOINT.replace("llama.cpp", dialect)))
        for dialect in ("llama.cpp", "vllm")
    ]
    assert [one.told for one in found if one] == [("temperature", "top_p", "max_tokens", "top_k", "repeat_penalty")] * 2
    targets = [one.target for one in found if one]
    assert targets == ["llama.cpp https://lab.example:8443/v1#qwen3:8b", "vllm https://lab.example:8443/v1#qwen3:8b"]
    assert len({one.sha256 for one in found if one}) == 2


def test_python_code_is_named_by_module_and_name() -> None:
    found = outside_supporter(f"python:{CODE}")
    assert found == PythonSupporter(name=CODE, target=CODE, sha256=CODE_SHA256)


def test_packages_offer_code_under_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def offered(*, group: str) -> Sequence[metadata.EntryPoint]:
        assert group == "escl.supporters"
        return [metadata.EntryPoint("kind", CODE, group)]

    monkeypatch.setattr(metadata, "entry_points", offered)
    assert outside_supporter("python:kind") == PythonSupporter(name="kind", target=CODE, sha256=CODE_SHA256)
    with pytest.raises(ManifestError, match="did you mean kind"):
        outside_supporter("python:kid")


def test_a_toml_file_says_everything_about_an_endpoint(tmp_path: Path) -> None:
    assert outside_supporter(written(tmp_path, ENDPOINT)) == EndpointSupporter(
        name="Qwen3 on the lab's server",
        url="https://lab.example:8443/v1",
        model="qwen3:8b",
        dialect="llama.cpp",
        key_env="LAB_API_KEY",
        concurrency=16,
        timeout_s=90.0,
        sampling=Sampling(temperature=0.6, top_k=20, max_tokens=300),
        system_prompt="You listen.",
        notice="asked over the network",
    )


def test_a_toml_file_says_everything_about_python_code(tmp_path: Path) -> None:
    assert outside_supporter(written(tmp_path, PYTHON)) == PythonSupporter(
        name="mine", target=CODE, sha256=CODE_SHA256, processes=3, timeout_s=7.5, system_prompt="You listen."
    )


@pytest.mark.parametrize("reference", ["demo/warm", "model.gguf", "nothing-here", "gguf/demo/warm.toml"])
def test_models_are_left_to_the_shelf(reference: str) -> None:
    assert outside_supporter(reference) is None


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("http://127.0.0.1:8080/v1", "names no model"),
        ("http://127.0.0.1:8080/v1#", "names no model"),
        ("http://me:hunter2@127.0.0.1/v1#m", "must not hold a name or password"),
        ("http://127.0.0.1/v1?key=1#m", "query"),
        ("http:///v1#m", "no address"),
        ("http://127.0.0.1:99999/v1#m", "no address"),
        ("http://[::1/v1#m", "no address"),
        ("http://exa mple/v1#m", "no address"),
        ("http://ex\u0430mple/v1#m", "no address"),
        ("http://127.0.0.1/v1/chat/completions#m", "not the base address"),
        ("http://169.254.169.254/latest#m", "cloud"),
        ("http://[fe80::1]/v1#m", "cloud"),
        ("http://metadata.google.internal/v1#m", "cloud"),
        ("http://METADATA.google.internal./v1#m", "cloud"),
        ("http://169.254.169.254./v1#m", "cloud"),
        ("http://2852039166/v1#m", "cloud"),
        ("http://0xa9fea9fe/v1#m", "cloud"),
        ("http://0251.0376.43518/v1#m", "cloud"),
        ("http://[::ffff:169.254.169.254]/v1#m", "cloud"),
        ("http://[::169.254.169.254]/v1#m", "cloud"),
        ("http://[64:ff9b::169.254.169.254]/v1#m", "cloud"),
        ("http://[2002:a9fe:a9fe::1]/v1#m", "cloud"),
        ("http://[fd00:ec2::254]/v1#m", "cloud"),
        ("http://100.100.100.200/v1#m", "cloud"),
        ("http://[fe80::1%25eth0]/v1#m", "no address"),
        ("http://169%2e254.169.254/v1#m", "no address"),
        ("http://127.0.0.1:/v1#m", "no address"),
        ("python:", "no installed package offers"),
        ("python:a b:C", "no Python name"),
        ("python:mod:", "no Python name"),
        ("python:mod:__import__('os').system('x')", "no Python name"),
        ("no-such-file.toml", "is not there"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(reference: str, why: str) -> None:
    with pytest.raises(EsclError) as refused:
        outside_supporter(reference)
    assert why in str(refused.value)
    assert isinstance(refused.value, UsageError | ManifestError)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('key_env = "LAB_API_KEY"', 'key_env = "AWS_SECRET_ACCESS_KEY"', "must end in _API_KEY"),
        ('key_env = "LAB_API_KEY"', 'key_env = "HF_TOKEN"', "must end in _API_KEY"),
        ('key_env = "LAB_API_KEY"', 'key_env = "OPENAI_API_KEY"', "a key for api.openai.com, and url is another"),
        ('key_env = "LAB_API_KEY"', 'key_env = "OpenAI_API_KEY"', "a key for api.openai.com, and url is another"),
        ('key_env = "LAB_API_KEY"', 'key_env = "AZURE_OPENAI_API_KEY"', "a key for .openai.azure.com"),
        ('url = "https://lab.example:8443/v1/"', 'url = "file:///etc/passwd"', "no address"),
        ('role = "supporter"', 'role = "scorer"', 'role is "scorer"'),
        ("concurrency = 16", "concurrency = 0", "concurrency is 0; it must be from 1 to 64"),
        ("timeout_s = 90", "timeout_s = nan", "timeout_s is nan"),
        ("timeout_s = 90", "timeout = 90", "unknown field `timeout`; did you mean timeout_s?"),
        ("temperature = 0.6", "temperature = -1.0", "temperature is -1.0"),
        ("temperature = 0.6", "temprature = 0.6", "temprature is unknown; did you mean temperature?"),
        ('dialect = "llama.cpp"', 'dialect = "plain"', 'the dialect "plain" has no word for it'),
        ('dialect = "llama.cpp"', 'dialect = "french"', "Invalid enum value"),
        ('name = "Qwen3', 'name = "\\u001bQwen3', "U+001B"),
        ('model = "qwen3:8b"', "", "missing required field `model`"),
        ("[endpoint]", f'[python]\ntarget = "{CODE}"\n[endpoint]', "both [endpoint] and [python]"),
        ('description = "with', 'descripton = "with', "did you mean description?"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, before: str, after: str, why: str) -> None:
    assert before in ENDPOINT
    with pytest.raises(ManifestError) as refused:
        outside_supporter(written(tmp_path, ENDPOINT.replace(before, after)))
    assert why in refused.value.message
    assert "supporter.toml" in refused.value.message


@pytest.mark.parametrize(
    ("key_env", "url"),
    [
        ("OPENAI_API_KEY", "https://api.openai.com/v1"),
        ("OPENAI_API_KEY", "https://API.OpenAI.com./v1"),
        ("AZURE_OPENAI_API_KEY", "https://ours.openai.azure.com/openai/v1"),
        ("LAB_API_KEY", "https://anywhere.example/v1"),
    ],
)
def test_a_key_goes_to_whom_it_belongs(tmp_path: Path, key_env: str, url: str) -> None:
    text = ENDPOINT.replace("LAB_API_KEY", key_env).replace("https://lab.example:8443/v1/", url)
    found = outside_supporter(written(tmp_path, text))
    assert isinstance(found, EndpointSupporter)
    assert (found.key_env, found.url) == (key_env, url)


@pytest.mark.parametrize("host", ["127.1", "localhost.", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "2130706433"])
def test_this_machine_is_known_in_every_spelling(host: str) -> None:
    assert is_loopback(f"http://{host}:8080/v1")


@pytest.mark.parametrize("host", ["128.0.0.1", "localhost.evil.example", "127.0.0.1.evil.example", "[::2]", "1"])
def test_another_machine_is_not_taken_for_this_one(host: str) -> None:
    assert not is_loopback(f"http://{host}:8080/v1")


def test_sampling_for_code_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="means nothing to"):
        outside_supporter(written(tmp_path, PYTHON + "\n[sampling]\ntemperature = 0.5\n"))
