"""Judges: second models that say what a reply is worth, and whose word is tested before it counts."""

from auctionsim.judges.address import AddressJudge, address_judge
from auctionsim.judges.choices import Choice, NoVerdict, Verdict
from auctionsim.judges.model import DEFAULT_JUDGE, ModelJudge, assembled_judge, judge_model
from auctionsim.judges.named import VerdictJudge, verdict_judge
from auctionsim.judges.positions import SwapAveraged, swap_averaged
from auctionsim.judges.prompts import JudgePrompt, judge_prompt

__all__ = [
    "DEFAULT_JUDGE",
    "AddressJudge",
    "Choice",
    "JudgePrompt",
    "ModelJudge",
    "NoVerdict",
    "SwapAveraged",
    "Verdict",
    "VerdictJudge",
    "address_judge",
    "assembled_judge",
    "judge_model",
    "judge_prompt",
    "swap_averaged",
    "verdict_judge",
]
