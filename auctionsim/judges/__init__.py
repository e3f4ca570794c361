"""Judges: second models that say what a reply is worth, and whose word is tested before it counts."""

from auctionsim.judges.address import AddressJudge, address_judge
from auctionsim.judges.choices import NoVerdict, Verdict, VerdictOptions
from auctionsim.judges.embedder import Embedder, load_embedder
from auctionsim.judges.embedding_files import MINILM
from auctionsim.judges.model import DEFAULT_JUDGE, ModelJudge, assembled_judge, judge_model
from auctionsim.judges.named import VerdictJudge, verdict_judge
from auctionsim.judges.positions import SwapAveraged, swap_averaged
from auctionsim.judges.prompts import JudgePrompt, judge_prompt

__all__ = [
    "DEFAULT_JUDGE",
    "MINILM",
    "AddressJudge",
    "Embedder",
    "JudgePrompt",
    "ModelJudge",
    "NoVerdict",
    "SwapAveraged",
    "Verdict",
    "VerdictJudge",
    "VerdictOptions",
    "address_judge",
    "assembled_judge",
    "judge_model",
    "judge_prompt",
    "load_embedder",
    "swap_averaged",
    "verdict_judge",
]
