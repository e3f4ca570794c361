"""Judges: second models that say what a reply is worth, and whose word is tested before it counts."""

from auctionsim.judges.embedder import Embedder, load_embedder
from auctionsim.judges.embedding_files import MINILM
from auctionsim.judges.model import DEFAULT_JUDGE, ModelJudge, assembled_judge, judge_model

__all__ = [
    "DEFAULT_JUDGE",
    "MINILM",
    "Embedder",
    "ModelJudge",
    "assembled_judge",
    "judge_model",
    "load_embedder",
]
