"""Scripts of the shape of ESC-Eval's evaluate.py and score.py, in other words, and the stand-ins that let them run.

The tests run these programs with scripted models and compare what each model was asked, and what was written, with
what escl asks and writes. They keep upstream's quirks: misspelt names, a label that loses its colon, replacements in
the whole text, the greeting that only the seeker hears, the lowest digit.
"""

from __future__ import annotations

import copy
import runpy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

SUPPORTER_SYSTEM = "Be of use, please!"
DEFAULT_SYSTEM = "You are called Toy (玩具).\n- Toy is kind.\n- Toy speaks English and 中文."
DATE = "2024-06-24"

EVALUATE = """
import datetime
import json
import os


class BigHelper():
    def __init__(self):
        self.model = load("big")

    def __call__(self, talk) -> str:
        if (talk[0]['role'] != "system"):
            talk.insert(0, {"role": "system", "content": 'Be of use, please!'})
        return self.model.generate(talk, max_new_tokens=512)


class Visitor():
    def __init__(self):
        self.model = load("visitor")

    def __call__(self, talk) -> str:
        if (talk[0]['role'] != "system"):
            talk.insert(0, {"role": "system", "content": 'Be of use, please!'})
        return self.model.generate(talk, max_new_tokens=384)


class ShortHelper():
    def __init__(self):
        self.model = load("short")

    def __call__(self, talk, warmth=0.0) -> str:
        if (talk[0]['role'] != "system"):
            talk.insert(0, {"role": "system", "content": 'Be of use, please!'})
        return self.model.generate(talk, max_new_tokens=128, do_sample=False, temperature=warmth)


def run_rolellm(args):
    folder = args.result_file + str(datetime.date.today()) + "/"
    os.makedirs(folder)
    if (args.language == "zh"):
        helpers = [BigHelper, ShortHelper]
    else:
        helpers = [BigHelper, ShortHelper]
    visitor = Visitor()
    for kind in helpers:
        helper = kind()
        talks = dict()
        with open(args.evaluete_file, 'r', encoding='utf-8') as f:
            cards = json.load(f)
        for index, card in tqdm(enumerate(cards), ncols=80):
            if (args.language == "zh"):
                role = "请扮演这个人：“" + card['base'] + \\
                    "\\n 说话要自然，不要提到AI assistant。"
                visitor_log = [
                    {"role": "system", "content": role},
                ]
                visitor_log.append({"role": "user", "content": "您好，请说吧！"})
            else:
                role = "Play this person:'" + card['base'] + \\
                    "\\n' Talk like people do, one thing at a time."
                visitor_log = [
                    {"role": "system", "content": role},
                ]
                visitor_log.append({"role": "user", "content": "Hello there, this is your AI assistant."})
            helper_log = []
            for i in range(3):
                said = visitor.__call__(talk=visitor_log)
                own = {"role": "assistant", "content": said}
                visitor_log.append(own)
                other = {"role": "user", "content": said}
                helper_log.append(other)
                said = helper.__call__(helper_log)
                own = {"role": "user", "content": said}
                visitor_log.append(own)
                other = {"role": "assistant", "content": said}
                helper_log.append(other)
            lines = []
            for entry in visitor_log:
                if (entry['role'] == 'user'):
                    lines.append("AI assistant：" + entry['content'])
                if (entry['role'] == 'assistant'):
                    lines.append("ESC-Role：" + entry['content'])
            talks[str(index)] = lines
        with open(folder + type(helper).__name__ + "_" + args.language + ".json", 'w', encoding='utf-8') as f:
            f.write(json.dumps(talks, ensure_ascii=False, indent=4))


if __name__ == "__main__":
    run_rolellm(args)
"""

SCORE = """
import json
import os


class Rater_ZH():
    def __init__(self):
        self.rater = load("rater")
        self.rater.load_adapter("./ESC-RANK/fluency", adapter_name="fluency")
        self.rater.load_adapter("./ESC-RANK/diversity", adapter_name="diversity")
        self.rater.load_adapter("./ESC-RANK/empathic", adapter_name="empathic")
        self.rater.load_adapter("./ESC-RANK/suggestion", adapter_name="suggestion")
        self.rater.load_adapter("./ESC-RANK/human", adapter_name="human")
        self.rater.load_adapter("./ESC-RANK/tech", adapter_name="tech")
        self.rater.load_adapter("./ESC-RANK/overall", adapter_name="overall")

    def __call__(self, asked, type=None) -> str:
        self.rater.set_adapter(type)
        said, history = self.rater.chat(None, asked[0]['content'], temperature=0.0, do_sample=False, history=[])
        return said


class Rater_EN():
    def __init__(self):
        self.rater = load("rater")
        self.rater.load_adapter("./ESC-RANK/fluency_en", adapter_name="fluency")
        self.rater.load_adapter("./ESC-RANK/diversity_en", adapter_name="diversity")
        self.rater.load_adapter("./ESC-RANK/empathic_en", adapter_name="empathic")
        self.rater.load_adapter("./ESC-RANK/suggestion_en", adapter_name="suggestion")
        self.rater.load_adapter("./ESC-RANK/human_en", adapter_name="human")
        self.rater.load_adapter("./ESC-RANK/tech_en", adapter_name="tech")
        self.rater.load_adapter("./ESC-RANK/overall_en", adapter_name="overall")

    def __call__(self, asked, type=None) -> str:
        self.rater.set_adapter(type)
        said, history = self.rater.chat(None, asked[0]['content'], temperature=0.0, do_sample=False, history=[])
        return said


prompt_EN = ["Is it fluent, and in English?\\n0: no\\n4: yes\\n", "Is it varied?\\n", "Does the AI assistant care?\\n",
             "How good the  advise?\\n", "Like a person?\\n", "Skill:\\n1. one \\n2. two\\n", "Would you again?\\n'"]

prompt_ZH = ["Is it fluent?\\n0: no\\n4: yes\\n", "Is it varied?\\n", "Does the AI assistant care?\\n",
             "How good the  advise?\\n", "Like a person?\\n", "Skill:\\n1. one \\n2. two\\n", "Would you again?\\n'"]

if __name__ == "__main__":
    dimention_list = ["fluecny", "variety", "care", "advise value", "personlike", "skill set", "wish"]
    key_list = ["fluency", "diversity", "empathic", "suggestion", "human", "tech", "overall"]
    raters = [Rater_ZH, Rater_EN]
    label_list = ["0", "1", "2", "3", "4"]
    for file in os.listdir('./result/2024-06-24/'):
        with open('./result/2024-06-24/' + file, 'r', encoding='utf-8') as f:
            talks = json.load(f)
        if ('zh' in file):
            kind = raters[0]
            rubrics = prompt_ZH
        else:
            kind = raters[1]
            rubrics = prompt_EN
        rated = dict()
        rater = kind()
        for _, pair in tqdm(enumerate(talks.items()), ncols=80):
            index, talk = pair
            rated[index] = dict()
            for at, dimention in enumerate(dimention_list):
                text = '\\n\\n'.join(talk).replace("AI assistant", "##帮手##").replace("ESC-Role：", "##来客##")
                asked = rubrics[at] + "What they said: \\n" + text.strip() + "\\n"
                asked += 'Now give the ' + dimention + ' mark (a digit) of it.'
                messages = []
                messages.append({"role": "user", "content": asked})
                reply = rater.__call__(asked=messages, type=key_list[at])
                for label in label_list:
                    if (label in reply):
                        rated[index][key_list[at]] = int(label)
                        break
                    elif (label == "4"):
                        rated[index][key_list[at]] = -1
        with open('./score/' + file, 'w', encoding='utf-8') as f:
            f.write(json.dumps(rated, ensure_ascii=False, indent=4))
"""

MODELING = """
class ToyForCausalLM:
    def build_inputs(self, tokenizer, query: str, history=None, meta_instruction=""):
        return tokenizer([meta_instruction + query])

    def chat(self, tokenizer, query: str, history=None, max_new_tokens: int = 1024, do_sample: bool = True,
             meta_instruction: str = "You are called Toy (玩具).\\n"
             "- Toy is kind.\\n"
             "- Toy speaks English and 中文.", **kwargs):
        return self.build_inputs(tokenizer, query, history, meta_instruction)
"""


def write_scripts(folder: Path, *, evaluate: str = EVALUATE, score: str = SCORE) -> Path:
    """Write the scripts as a copy of ESC-Eval would hold them, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "evaluate.py").write_text(evaluate, encoding="utf-8")
    (folder / "score.py").write_text(score, encoding="utf-8")
    (folder / "modeling_internlm2.py").write_text(MODELING, encoding="utf-8")
    return folder


@dataclass
class Heard:
    """What the scripts' models were asked, in order.

    Attributes:
        talks: (model, messages) of every `generate`.
        questions: (adapter folder, text) of every `chat`.
    """

    talks: list[tuple[str, list[dict[str, str]]]] = field(default_factory=list)
    questions: list[tuple[str, str]] = field(default_factory=list)


def run_evaluate(
    folder: Path, *, cards: Path, language: str, reply: Callable[[str, list[dict[str, str]]], str]
) -> tuple[Heard, Mapping[str, bytes]]:
    """Run evaluate.py in `folder`; return what its models heard and the result files by name."""
    heard = Heard()

    def load(name: str) -> Any:  # noqa: ANN401
        def generate(talk: list[dict[str, str]], **_: object) -> str:
            heard.talks.append((name, copy.deepcopy(talk)))
            return reply(name, talk)

        return SimpleNamespace(generate=generate)

    args = SimpleNamespace(language=language, evaluete_file=str(cards), result_file=f"{folder}/result-{language}/")
    _run(folder / "evaluate.py", args=args, load=load)
    written = {path.name: path.read_bytes() for path in (folder / f"result-{language}").rglob("*.json")}
    return heard, written


def run_score(
    folder: Path, results: Mapping[str, bytes], reply: Callable[[str, str], str]
) -> tuple[Heard, Mapping[str, bytes]]:
    """Run score.py on result files; return what the scorer was asked and the score files by name.

    The script works in the current folder, which must be `folder`.
    """
    heard = Heard()
    (folder / "result" / DATE).mkdir(parents=True)
    (folder / "score").mkdir()
    for name, content in results.items():
        (folder / "result" / DATE / name).write_bytes(content)

    def load(_: str) -> Any:  # noqa: ANN401
        adapters: dict[str, str] = {}
        active: list[str] = []

        def chat(_: object, question: str, **__: object) -> tuple[str, list[object]]:
            heard.questions.append((active[-1], question))
            return reply(active[-1], question), []

        return SimpleNamespace(
            load_adapter=lambda path, adapter_name: adapters.update({adapter_name: path.rpartition("/")[2]}),
            set_adapter=lambda name: active.append(adapters[name]),
            chat=chat,
        )

    _run(folder / "score.py", load=load)
    return heard, {path.name: path.read_bytes() for path in (folder / "score").glob("*.json")}


def _run(path: Path, **given: object) -> None:
    runpy.run_path(str(path), init_globals={"tqdm": lambda items, **_: items, **given}, run_name="__main__")
