"""The measuring child answers with seconds of real work, and its troubles are typed errors in the parent."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from escl.engine import trial
from escl.engine.trial import Alike, Comparison, Evaluated, Evaluation, InStep, Probe, Setting, Stand
from escl.engine.wire import EngineSpec
from escl.errors import EngineCrashedError, EngineError, EngineHungError, ModelLoadError
from tests.engine.conftest import WriteModel
from tests.tiny_gguf import Script, chain

pytestmark = pytest.mark.model

SCRIPT = Script(chain("\n", "The", "<|im_end|>"), context_weight=1.0)
PLAIN = Setting(threads=1, repack=False)


@pytest.fixture
def path(model_file: WriteModel) -> Path:
    return model_file("measured", SCRIPT)


def test_a_stand_measures_setting_after_setting(path: Path) -> None:
    with Stand(path) as stand:
        first = stand.probe(Probe(setting=PLAIN, prompt_tokens=64, sequences=3, steps=4), within_s=30)
        assert first.load_s is not None
        assert min(first.load_s, first.prefill_s, first.decode_s) > 0
        other = Setting(threads=1, repack=False, n_ubatch=32, flash_attention=False)
        again = stand.probe(Probe(setting=other, prompt_tokens=300), within_s=30)
        assert again.load_s is None
        repacked = stand.probe(Probe(setting=Setting(threads=1, repack=True), prompt_tokens=8), within_s=30)
        assert repacked.load_s is not None


def test_both_sides_of_a_comparison_do_the_same_work(path: Path) -> None:
    with Stand(path) as stand:
        asked = Comparison(setting=PLAIN, sequences=3, prompt_tokens=120, steps=5, rounds=2)
        compared = stand.compare(asked, within_s=60)
    assert compared.decode_tokens == 15
    assert 300 <= compared.prefill_tokens <= 360
    times = (
        compared.bare_prefill_s,
        compared.bare_decode_s,
        compared.batcher_prefill_s,
        compared.batcher_decode_s,
    )
    assert {len(side) for side in times} == {2}
    assert all(taken > 0 for side in times for taken in side)


def test_a_scorers_prompts_are_evaluated_with_each_opening_once(path: Path) -> None:
    spec = EngineSpec(model=str(path), purpose="labels", slots=1, ctx_per_slot=512, repack=False, gpu_layers=0)
    rests = ["one more thing to say", "another thing to say"]
    with Stand(path) as stand:

        def evaluated(*groups: Alike) -> Evaluated:
            return stand.evaluate(Evaluation(spec=spec, groups=list(groups)), within_s=30)

        def group(*rests: str) -> Alike:
            return Alike(adapter=None, system=None, prefix="A rubric of some words. ", rests=list(rests))

        alone = [evaluated(group(rest)).n_tokens for rest in rests]
        empty = evaluated(group("")).n_tokens
        together = evaluated(group(*rests), group(rests[0]))
    assert len(together.seconds) == 2
    assert min(together.seconds) > 0
    # What the prompts have in common beyond the rubric, the frame before it, is counted once as well.
    assert max(alone) < together.n_tokens - alone[0] < sum(alone)
    assert empty < min(alone)


def test_dialogues_in_step_are_evaluated_with_the_tokens_asked_for(path: Path) -> None:
    spec = EngineSpec(model=str(path), slots=2, ctx_per_slot=256, repack=False, gpu_layers=0)
    with Stand(path) as stand:
        asked = InStep(spec=spec, prompts=[[40, 30], [5, 6]], generated=[4, 8])
        evaluated = stand.evaluate(asked, within_s=30)
        assert evaluated.n_tokens == 40 + 30 + 5 + 6 + 2 * (4 + 8)
        assert len(evaluated.seconds) == 2
        assert min(evaluated.seconds) > 0
        too_long = InStep(spec=spec, prompts=[[250, 250]], generated=[30])
        with pytest.raises(EngineError):
            stand.evaluate(too_long, within_s=30)


def test_a_setting_that_llama_cpp_refuses_leaves_the_stand_in_use(path: Path) -> None:
    contradiction = Setting(threads=1, repack=False, kv_type="q8_0", flash_attention=False)
    with Stand(path) as stand:
        with pytest.raises(ModelLoadError):
            stand.probe(Probe(setting=contradiction, prompt_tokens=8), within_s=30)
        assert stand.probe(Probe(setting=PLAIN, prompt_tokens=8), within_s=30).prefill_s > 0


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="cannot be opened"):
        Stand(tmp_path / "none.gguf")


@pytest.mark.kill
def test_a_dead_child_is_an_error_and_can_be_replaced(path: Path) -> None:
    with Stand(path) as stand:
        stand._process.kill()
        with pytest.raises(EngineCrashedError, match="SIGKILL"):
            stand.probe(Probe(setting=PLAIN, prompt_tokens=8), within_s=30)
        stand.restart()
        assert stand.probe(Probe(setting=PLAIN, prompt_tokens=8), within_s=30).prefill_s > 0


@pytest.mark.kill
def test_a_child_that_takes_too_long_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "COMMAND", (sys.executable, "-c", "import time; time.sleep(60)"))
    with Stand(path) as stand:
        with pytest.raises(EngineHungError, match="more than 0 s"):
            stand.probe(Probe(setting=PLAIN, prompt_tokens=8), within_s=0.2)
        assert stand._process.poll() is not None
