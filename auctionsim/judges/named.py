"""Judges by name: a model that is loaded here, or a server behind an OpenAI-compatible address."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from auctionsim.judges.address import address_judge, is_address
from auctionsim.judges.choices import NoVerdict, Verdict, VerdictOptions
from auctionsim.judges.model import judge_model
from auctionsim.judges.prompts import JudgePrompt


@runtime_checkable
class VerdictJudge(Protocol):
    """Whoever gives verdicts on prompts."""

    def basis(self, prompt: JudgePrompt) -> str:
        """Return what verdicts on a prompt rest on, in one line."""

    def verdicts(self, prompts: Sequence[str], choice: VerdictOptions) -> list[Verdict | NoVerdict]:
        """Return a verdict for each prompt, or why there is none."""


def verdict_judge(name: str) -> VerdictJudge:
    """Return the judge of a name; nothing is loaded twice in a process.

    Args:
        name: "smollm2", "gemma3-270m", a hub id, a model folder, or an address, see `address_judge`.
    Raises:
        ModelUnavailableError: The model is not here.
    """
    return address_judge(name) if is_address(name) else judge_model(name)
