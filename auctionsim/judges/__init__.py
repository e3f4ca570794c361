"""Judges: second models that say what a reply is worth, and whose word is tested before it counts."""

from auctionsim.judges.model import DEFAULT_JUDGE, ModelJudge, assembled_judge, judge_model

__all__ = ["DEFAULT_JUDGE", "ModelJudge", "assembled_judge", "judge_model"]
