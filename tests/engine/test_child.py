"""The child keeps to its share of the machine, and its environment holds no secrets."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from escl.engine import child, launch
from escl.errors import ChatTemplateError, EngineCrashedError, EngineKilledError, ModelLoadError


def test_cores_are_never_more_than_this_process_may_use() -> None:
    assert 1 <= child.physical_cores() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("200000 100000", 2), ("150000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None)],
)
def test_a_containers_quota_is_read(tmp_path: Path, quota: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(quota, encoding="ascii")
    assert child._cgroup_cores(tmp_path / "cpu.max") == cores
    assert child._cgroup_cores(tmp_path / "none") is None


def test_an_oom_score_that_may_not_be_set_is_said_and_forgiven(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    child.adjust_oom_score(tmp_path / "score")
    assert int((tmp_path / "score").read_text(encoding="ascii")) == 500
    child.adjust_oom_score(tmp_path / "no" / "score")
    assert "oom_score_adj" in capsys.readouterr().err


def test_peak_memory_is_in_bytes() -> None:
    assert 10_000_000 < child.peak_rss_bytes() < 100_000_000_000


def test_a_child_gets_no_secrets() -> None:
    secrets = ["HF_TOKEN", "OPENAI_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD", "my_apikey", "GH_AUTH"]
    harmless = {"PATH": "/bin", "LD_LIBRARY_PATH": "/lib", "CUDA_VISIBLE_DEVICES": "0", "GGML_METAL_NO_RESIDENCY": "1"}
    environment = launch.child_environment(dict.fromkeys(secrets, "canary") | harmless)
    assert "canary" not in environment.values()
    assert harmless.items() <= environment.items()


def test_a_users_own_waiting_policy_is_kept() -> None:
    assert "GOMP_SPINCOUNT" in launch.child_environment({})
    assert launch.child_environment({"GOMP_SPINCOUNT": "7"})["GOMP_SPINCOUNT"] == "7"
    assert "GOMP_SPINCOUNT" not in launch.child_environment({"OMP_WAIT_POLICY": "active"})


@pytest.mark.parametrize(
    ("code", "while_loading", "kind", "words"),
    [
        (-6, True, ModelLoadError, "gave up while loading: the process was killed by SIGABRT"),
        (-6, False, EngineCrashedError, "was killed by SIGABRT"),
        (-9, True, EngineKilledError, "killed by SIGKILL.*\n.*run out of memory"),
        (-4, True, EngineCrashedError, "install it from source"),
        (-27, False, ChatTemplateError, "kept the processor busy"),
        (3, False, EngineCrashedError, "ended with exit code 3"),
        (-200, False, EngineCrashedError, "killed by signal 200"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int, while_loading: bool, kind: type[Exception], words: str) -> None:
    error = launch.death_of(launch.how_it_ended(code), stderr=[], while_loading=while_loading)
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error


def test_last_words_are_few() -> None:
    error = launch.death_of("died", stderr=[f"line {number}" for number in range(100)], while_loading=False)
    assert "line 99" in str(error)
    assert "line 90" not in str(error)


def test_a_childs_peak_is_its_own_not_its_parents() -> None:
    ballast = b"x" * (256 << 20)
    code = "from escl.engine.child import peak_rss_bytes; print(peak_rss_bytes())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(said) < len(ballast) // 2
