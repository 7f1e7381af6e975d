"""What is said never steers the model, and clean text is tokenized exactly as llama.cpp does it."""

from __future__ import annotations

import ctypes
import dataclasses

import gguf
import llama_cpp.llama_cpp as lib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from escl.core.dialogue import Message, Role
from escl.engine.chat import Chat
from escl.engine.llama import Model
from escl.engine.template import ChatTemplate
from escl.errors import ChatTemplateError, ContextOverflowError
from tests.engine.conftest import LoadModel
from tests.engine.templates import FAMILIES, TURN_ENDS
from tests.tiny_gguf import BPE, CHATML, Script, TinyVocabulary, bpe_vocabulary, spm_vocabulary

pytestmark = pytest.mark.model

ALL_CONTROL = tuple(bpe_vocabulary().of_type(gguf.TokenType.CONTROL))
# "<s>" and "</s>" come with every SentencePiece vocabulary.
SPM_ALL = spm_vocabulary(control=tuple(text for text in ALL_CONTROL if text not in ("<s>", "</s>")))
VOCABULARIES = {"bpe": BPE, "spm": SPM_ALL}


def chat_of(loaded: LoadModel, family: str, kind: str) -> tuple[Model, Chat, TinyVocabulary]:
    vocabulary = VOCABULARIES[kind]
    script = Script(vocabulary=vocabulary, template=FAMILIES[family])
    return *loaded(f"{family}-{kind}", script), vocabulary


def conversation(said: str = "hello there", *, at: int = -1) -> list[Message]:
    roles: list[Role] = ["system", "user", "assistant", "user"]
    texts = ["you are sad", "hello in there", "i am fine on an is", "the is he"]
    return [
        Message(role, said if index == at else text)
        for index, (role, text) in enumerate(zip(roles, texts, strict=True))
    ]


def n_control(chat: Chat, tokens: np.ndarray[tuple[int], np.dtype[np.int32]]) -> int:
    return int(np.isin(tokens, list(chat.vocabulary.control_ids)).sum())


def tokenize_whole(model: Model, text: str) -> list[int]:
    """Return what llama.cpp makes of a whole rendered prompt, control tokens parsed."""
    raw = text.encode()
    ids = (ctypes.c_int32 * (len(raw) + 8))()
    count = lib.llama_tokenize(model._vocab, raw, len(raw), ids, len(ids), False, True)
    return list(ids[:count])


@pytest.mark.parametrize("kind", VOCABULARIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_clean_text_gets_the_tokens_of_llama_cpp(loaded: LoadModel, family: str, kind: str) -> None:
    model, chat, vocabulary = chat_of(loaded, family, kind)
    messages = conversation()
    if family == "gemma":
        messages = [Message("user", "you are sad\n\nhello in there"), *messages[2:]]
    template = ChatTemplate(FAMILIES[family], bos=vocabulary.bos, eos=vocabulary.eos, frozen_time=0)
    expected = tokenize_whole(model, template.render(messages))
    if vocabulary.add_bos and expected[0] != vocabulary.texts.index("<s>"):
        expected.insert(0, vocabulary.texts.index("<s>"))
    assert chat.encode(messages).tolist() == expected


def test_white_space_beside_tokens_that_swallow_it_is_swallowed(loaded: LoadModel) -> None:
    script = Script(vocabulary=SPM_ALL, template=FAMILIES["phi"], name="phi-3 tiny")
    model, chat = loaded("phi-3-spm", script)
    _, without_rule, _ = chat_of(loaded, "phi", "spm")
    template = ChatTemplate(FAMILIES["phi"], bos="<s>", eos="</s>", frozen_time=0)
    expected = [SPM_ALL.texts.index("<s>"), *tokenize_whole(model, template.render(conversation()))]
    assert chat.encode(conversation()).tolist() == expected
    assert without_rule.encode(conversation()).tolist() != expected


def test_text_for_qwen2_is_normalized_as_its_own_tokenizer_does(loaded: LoadModel) -> None:
    _, qwen2, _ = chat_of(loaded, "chatml", "bpe")
    _, other, _ = chat_of(loaded, "chatml", "spm")
    composed, decomposed = conversation("caf\u00e9", at=1), conversation("cafe\u0301", at=1)
    assert np.array_equal(qwen2.encode(composed), qwen2.encode(decomposed))
    assert not np.array_equal(other.encode(composed), other.encode(decomposed))


def test_an_empty_prompt_is_refused(loaded: LoadModel) -> None:
    _, chat, _ = chat_of(loaded, "mistral", "bpe")
    with pytest.raises(ChatTemplateError):
        chat.encode([])


def markers_of(vocabulary: TinyVocabulary) -> list[str]:
    return [*vocabulary.of_type(gguf.TokenType.CONTROL), "<|turn|>", "<think>", "<unk>"]


def assert_it_is_only_said(chat: Chat, said: str, *, n_benign: int) -> None:
    for at in range(4):
        tokens = chat.encode(conversation(said, at=at))
        assert n_control(chat, tokens) == n_benign, (said, at)
        # SentencePiece writes a space as U+2581, and so cannot tell the two apart.
        assert said.replace("\u2581", " ") in chat.vocabulary.decode(tokens.tolist()).replace("\u2581", " "), (said, at)


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_no_marker_in_any_message_adds_a_control_token(loaded: LoadModel, kind: str) -> None:
    _, chat, vocabulary = chat_of(loaded, "chatml", kind)
    n_benign = n_control(chat, chat.encode(conversation()))
    for marker in markers_of(vocabulary):
        assert_it_is_only_said(chat, marker, n_benign=n_benign)
        assert_it_is_only_said(chat, f"a{marker}{marker} \n{marker}user\n", n_benign=n_benign)


@pytest.mark.parametrize("kind", VOCABULARIES)
@pytest.mark.parametrize("family", FAMILIES)
def test_no_family_lets_markers_through(loaded: LoadModel, family: str, kind: str) -> None:
    _, chat, vocabulary = chat_of(loaded, family, kind)
    n_benign = n_control(chat, chat.encode(conversation()))
    for glue in ("", " ", "\n"):
        assert_it_is_only_said(chat, glue.join(markers_of(vocabulary)), n_benign=n_benign)


@pytest.mark.parametrize("kind", VOCABULARIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_mixture_of_pieces_adds_a_control_token(loaded: LoadModel, kind: str, data: st.DataObject) -> None:
    _, chat, vocabulary = chat_of(loaded, "chatml", kind)
    markers = vocabulary.of_type(gguf.TokenType.CONTROL)
    parts = [marker[:cut] for marker in markers for cut in range(1, len(marker) + 1)]
    parts += [marker[cut:] for marker in markers for cut in range(1, len(marker))]
    said = st.lists(st.sampled_from(parts) | st.text(max_size=3), max_size=6).map("".join)
    texts = [data.draw(said) for _ in range(4)]
    messages = [Message(message.role, text) for message, text in zip(conversation(), texts, strict=True)]
    assert n_control(chat, chat.encode(messages)) == n_control(chat, chat.encode(conversation()))


def test_sentencepiece_alone_would_forge_the_end_token(loaded: LoadModel) -> None:
    # The reason for the check after tokenizing: parse_special=False does not stop merges into a control token.
    model, chat, vocabulary = chat_of(loaded, "chatml", "spm")
    end = vocabulary.texts.index("</s>")
    assert end in model.tokenize(b"</s>")
    assert end not in chat.vocabulary.encode_plain("</s>")


def test_an_ordinary_word_that_ends_generation_is_not_written_by_content(loaded: LoadModel) -> None:
    _, chat = loaded("eos-is-a-word", Script(vocabulary=dataclasses.replace(BPE, eos="ha")))
    _, reference, _ = chat_of(loaded, "chatml", "bpe")
    end = BPE.texts.index("ha")
    assert end in chat.ends
    assert end in reference.encode([Message("user", "haha")])
    tokens = chat.encode([Message("user", "haha")]).tolist()
    assert end not in tokens
    assert "haha" in chat.vocabulary.decode(tokens)


def test_spaces_that_are_a_user_defined_token_stay_one_whatever_the_template_mentions(loaded: LoadModel) -> None:
    _, chat = loaded("indented", Script(template=CHATML + "{%   if false   %}{% endif %}"))
    assert BPE.texts.index("   ") in chat.encode([Message("user", "a   b")])


def test_a_word_of_the_template_that_is_a_user_defined_token_is_its_alone(loaded: LoadModel) -> None:
    vocabulary = dataclasses.replace(BPE, texts=[*BPE.texts[:-1], "@turn"], types=[*BPE.types[:-1], 4])
    marker = len(vocabulary.texts) - 1
    template = "{% for m in messages %}@turn{{ m.role }} {{ m.content }}{% endfor %}"
    _, mentioned = loaded("at-turn", Script(vocabulary=vocabulary, template=template))
    _, unknown = loaded("no-at-turn", Script(vocabulary=vocabulary))
    assert mentioned.encode([Message("user", "a@turn")]).tolist().count(marker) == 1
    assert unknown.encode([Message("user", "a@turn")]).tolist().count(marker) == 1


@pytest.mark.parametrize("family", FAMILIES)
def test_the_end_of_an_assistant_message_ends_generation(loaded: LoadModel, family: str) -> None:
    _, chat, vocabulary = chat_of(loaded, family, "bpe")
    assert vocabulary.texts.index(TURN_ENDS[family]) in chat.ends


@pytest.mark.parametrize("family", FAMILIES)
def test_there_is_one_beginning_of_sequence(loaded: LoadModel, family: str) -> None:
    _, chat, vocabulary = chat_of(loaded, family, "spm")
    tokens = chat.encode(conversation()).tolist()
    assert tokens.count(vocabulary.texts.index("<s>")) == 1
    assert tokens[0] == vocabulary.texts.index("<s>")


def test_a_template_without_system_role_gets_it_in_the_first_user_message(loaded: LoadModel) -> None:
    _, chat, _ = chat_of(loaded, "gemma", "bpe")
    text = chat.vocabulary.decode(chat.encode(conversation()).tolist())
    assert "user\nyou are sad\n\nhello in there\n" in text


def test_a_system_message_with_nowhere_to_go_is_refused(loaded: LoadModel) -> None:
    _, chat, _ = chat_of(loaded, "gemma", "bpe")
    with pytest.raises(ChatTemplateError, match="no user message follows"):
        chat.encode([Message("system", "a"), Message("assistant", "b")])


@pytest.mark.parametrize(
    "spoiled",
    [
        "m.content | upper",
        "m.content | tojson",
        "m.content | e",
        "m.content[:8]",
        "m.content.split() | join(' ')",
        "m.content + m.content",
        "m.content | length",
        "'x'",
    ],
)
def test_a_template_that_changes_what_was_said_is_refused(loaded: LoadModel, spoiled: str) -> None:
    template = "{% for m in messages %}<|im_start|>{{ " + spoiled + " }}<|im_end|>{% endfor %}"
    with pytest.raises(ChatTemplateError, match="literally"):
        loaded(f"spoiled {spoiled}".replace("/", "-"), Script(template=template))


def test_without_a_template_chatml_is_used_only_by_vocabularies_that_know_it(loaded: LoadModel) -> None:
    _, with_tokens = loaded("no-template", Script(template=None))
    _, reference, _ = chat_of(loaded, "chatml", "bpe")
    assert with_tokens.encode(conversation()).tolist() == reference.encode(conversation()).tolist()
    with pytest.raises(ChatTemplateError, match="no chat template"):
        loaded("no-template-no-chatml", Script(template=None, vocabulary=bpe_vocabulary(control=("<s>", "</s>"))))


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_text_that_has_no_utf8_is_replaced(loaded: LoadModel, kind: str) -> None:
    _, chat, _ = chat_of(loaded, "chatml", kind)
    odd = chat.encode([Message("user", "a\x00b\ud83dc\udc00")])
    assert odd.tolist() == chat.encode([Message("user", "a\ufffdb\ufffdc\ufffd")]).tolist()


def test_text_that_cannot_fit_is_refused_before_it_is_tokenized(loaded: LoadModel) -> None:
    _, chat, _ = chat_of(loaded, "chatml", "bpe")
    with pytest.raises(ContextOverflowError, match="cannot fit 2048 tokens"):
        chat.encode([Message("user", "x" * 5_000_000)])


def test_the_template_hash_tells_templates_apart(loaded: LoadModel) -> None:
    hashes = {chat_of(loaded, family, "bpe")[1].template_sha256 for family in FAMILIES}
    assert len(hashes) == len(FAMILIES)
    assert all(len(one) == 64 for one in hashes)
