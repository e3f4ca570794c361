"""Judges by name: a model that is loaded here, or a server behind an OpenAI-compatible address."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from auctionsim.judges.choices import Choice, NoVerdict, Verdict
from auctionsim.judges.model import judge_model
from auctionsim.judges.prompts import JudgePrompt


@runtime_checkable
class VerdictJudge(Protocol):
    """Whoever gives verdicts on prompts."""

    def basis(self, prompt: JudgePrompt) -> str:
        """Return what verdicts on a prompt rest on, in one line."""

    def verdicts(self, prompts: Sequence[str], choice: Choice) -> list[Verdict | NoVerdict]:
        """Return a verdict for each prompt, or why there is none."""


def verdict_judge(name: str) -> VerdictJudge:
    """Return the judge of a name; nothing is loaded twice in a process.

    Args:
        name: "smollm2", "gemma3-270m", a hub id, or a model folder.
    Raises:
        ModelUnavailableError: It is not here.
    """
    return judge_model(name)
