"""Every error escl raises on purpose, and the exit code each one ends with.

An `EsclError` says what failed, on what, and what to do. Anything else that reaches the
command line is a bug and ends with `ExitCode.BUG`.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every escl command."""

    OK = 0
    BUG = 1
    USAGE = 2
    """The command line itself is wrong."""
    BAD_INPUT = 3
    """A file that was given is malformed, missing or hostile."""
    MODEL = 4
    """A model could not be loaded or run."""
    STORAGE = 5
    """Disk or database trouble."""
    INCOMPLETE = 6
    """The command ended, but some items failed; the results say which."""
    NETWORK = 7
    """Something that was asked of a network was refused, is not there, or did not come."""
    GATE = 8
    """The command ended, and what a gate asks for is not shown."""
    RED_FINDING = 9
    """The command ended, and a red finding in a crisis dialogue stands."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C or SIGTERM; the same command resumes."""


class EsclError(Exception):
    """Something failed that the user can understand and act on.

    Args:
        message: What failed and on what (file, index, field).
        hint: What to do about it, if anything can be done.
    """

    exit_code = ExitCode.BAD_INPUT

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\n  hint: {self.hint}"


class UsageError(EsclError):
    """Options that contradict each other or name nothing known."""

    exit_code = ExitCode.USAGE


class CardError(EsclError):
    """A role-card file is malformed."""


class ProtocolError(EsclError):
    """A protocol file is malformed."""


class DialogueFileError(EsclError):
    """A file of finished dialogues is malformed."""


class RatingsError(EsclError):
    """A file of people's judgements is malformed, or judges what the runs do not hold."""


class ManifestError(EsclError):
    """A model manifest is malformed, or names a model nobody knows."""


class GGUFError(EsclError):
    """A GGUF file is malformed, truncated or of a kind that cannot be used."""


class ConvertError(EsclError):
    """A checkpoint or adapter cannot be converted faithfully."""


class BundleError(EsclError):
    """A bundle is damaged, hostile, of another signer or older than what was installed; or it cannot be made."""


class StorageError(EsclError):
    """Disk full, a database that is not ours, or a run that another process holds."""

    exit_code = ExitCode.STORAGE


class DownloadError(EsclError):
    """A repository or file cannot be had from the network, or is not what was promised."""

    exit_code = ExitCode.NETWORK


class EngineError(EsclError):
    """A model failed while loading or answering. Subclasses say how."""

    exit_code = ExitCode.MODEL


class ModelLoadError(EngineError):
    """llama.cpp refused the model, an adapter or the context."""


class OutOfMemoryError(ModelLoadError):
    """The model, its context or its work buffers do not fit."""


class NothingFitsError(EngineError):
    """No way to run the models fits the memory there is; the message says what would."""


class EngineCrashedError(EngineError):
    """The child process that held the model died."""


class EngineKilledError(EngineCrashedError):
    """The child process was killed from outside: most often by the system, for want of memory."""


class EngineHungError(EngineError):
    """The child process showed no progress within the deadline and was killed."""


class ContextOverflowError(EngineError):
    """Prompt plus reply do not fit the context; nothing was truncated."""


class KVExhaustedError(EngineError):
    """llama.cpp found no room in the KV cache for the next tokens."""


class NonFiniteLogitsError(EngineError):
    """The model returned NaN or infinite logits, so its text would mean nothing."""


class ChatTemplateError(EngineError):
    """The model's chat template is missing, broken, or does not carry the messages literally."""


class GaveUpError(EngineError):
    """A request killed its engine repeatedly and was given up."""


class OnlyReasoningError(EngineError):
    """A reply was nothing but reasoning, so nothing was said."""


class SupporterError(EngineError):
    """A supporter that is no engine, an endpoint or Python code, gave no answer that can be used."""


class SupporterUnavailableError(ModelLoadError):
    """Such a supporter cannot be reached, refuses everything or cannot be loaded: no single dialogue's fault."""


class NotBegunError(EngineError):
    """The run was stopped before this request was begun; nothing is wrong with it."""

    def __init__(self) -> None:
        super().__init__("the run was stopped before this was begun")
