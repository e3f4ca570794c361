"""Diversity of replies: over β, of tilts of stored replies, and over the levers, of the settings that moved them.

Entropy, the expected number of distinct replies and the Vendi score of a tilt are exact, of the law over a prompt's
stored replies. EAD, self-BLEU and the Vendi score of a set grow with the set, so both sides have sets of one size: of a
tilt they are means over sets that are drawn from it with replacement, at the same random numbers for every tilt; of a
setting they are of its stored replies to a prompt, the first ones.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from auctionsim.experiments.running.tilt_cases import PromptLottery
from auctionsim.judges.embedding_files import MINILM
from auctionsim.mechanisms import KLTilt, ReverseKL
from auctionsim.readings.cosines import embeddings, kernel
from auctionsim.readings.distinct import adjusted_distinct, expected_distinct
from auctionsim.readings.protocol import Unscored
from auctionsim.readings.self_bleu import self_bleu
from auctionsim.readings.vendi import vendi_score

LAW = ("entropy", "distinct", "vendi_of_law")
SET = ("ead", "self_bleu", "vendi_of_set")


class PromptTexts(NamedTuple):
    """A prompt's stored replies and how alike they are.

    Attributes:
        texts: The replies.
        similarity: Cosines of each pair: (reply, reply).
        drawn: Uniform numbers, (set, place), that sets are drawn at.
    """

    texts: Sequence[str]
    similarity: Tensor
    drawn: Tensor


def prompt_texts(one: PromptLottery, sets: int, size: int, generator: np.random.Generator) -> PromptTexts:
    """Embed a prompt's replies, and draw the numbers that its sets are drawn at.

    A reply without text is like itself alone.
    """
    rows = embeddings(MINILM, one.lottery.texts)
    there = [k for k, row in enumerate(rows) if row is not None]
    similarity = torch.eye(len(rows), dtype=torch.float64)
    if there:
        places = torch.tensor(there)
        similarity[places.unsqueeze(1), places] = kernel([row for row in rows if row is not None])
    return PromptTexts(one.lottery.texts, similarity, torch.tensor(generator.random((sets, size))))


def law_diversity(texts: PromptTexts, q: Tensor) -> dict[str, float]:
    """Return the readings of a distribution over a prompt's replies: (reply,)."""
    size = texts.drawn.shape[1]
    found = {
        "entropy": float(torch.special.entr(q).sum()),
        "distinct": expected_distinct(by_text(texts.texts, q), size),
        "vendi_of_law": vendi_score(texts.similarity, q),
    }
    drawn = torch.searchsorted(q.cumsum(0), texts.drawn * float(q.sum())).clamp_max(len(q) - 1)
    sets = [set_diversity(texts, row.tolist()) for row in drawn]
    return found | {name: float(np.mean([one[name] for one in sets])) for name in SET}


def set_diversity(texts: PromptTexts, places: Sequence[int]) -> dict[str, float]:
    """Return the readings of a set of a prompt's replies; a set that has no words to compare is one reply."""
    listed = [texts.texts[k] for k in places]
    spread, alike = adjusted_distinct(listed), self_bleu(listed)
    index = torch.tensor(list(places))
    return {
        "ead": 0.0 if isinstance(spread, Unscored) else spread,
        "self_bleu": 1.0 if isinstance(alike, Unscored) else alike,
        "vendi_of_set": vendi_score(texts.similarity[index.unsqueeze(1), index]),
    }


def by_text(texts: Sequence[str], q: Tensor) -> list[float]:
    """Return the probability of each different text."""
    masses: dict[str, float] = {}
    for text, mass in zip(texts, q.tolist(), strict=True):
        masses[text] = masses.get(text, 0.0) + mass
    return list(masses.values())


def tilt_values(one: PromptLottery, texts: PromptTexts, rule: KLTilt, money: tuple[float, float]) -> dict[str, float]:
    """Return what one auction on a prompt's stored replies gives, and how varied its replies are.

    Args:
        one: The prompt.
        texts: Its replies.
        rule: The auction.
        money: Bid of each brand, and λ.
    """
    bid, user_weight = money
    bids = torch.full((1, one.lottery.num_bidders, 1), bid, dtype=torch.float64)
    outcome = rule(bids)
    q = outcome.allocation
    exposure, loss = float(one.lottery.exposure(q).sum()), float(one.lottery.user_loss(q))
    found = {
        "exposure": exposure,
        "user_loss": loss,
        "reward": bid * exposure - user_weight * loss,
        "revenue": float(outcome.payments.sum()),
        "kl": float(ReverseKL().between(q, one.lottery.reference)),
        "effective_replies": float(one.lottery.effective_replies(q)),
    }
    return found | law_diversity(texts, q[0])


def reference_values(one: PromptLottery, texts: PromptTexts, money: tuple[float, float]) -> dict[str, float]:
    """Return the same of the reference, which is what a tilt is where nobody bids."""
    found = tilt_values(one, texts, KLTilt(one.lottery, 1.0), (0.0, money[1]))
    return found | {"reward": money[0] * found["exposure"] - money[1] * found["user_loss"]}


def settings_diversity(one: PromptLottery, texts: PromptTexts) -> list[dict[str, float]]:
    """Return the readings of each setting's own replies to a prompt, as many as a set has, the first ones."""
    size = texts.drawn.shape[1]
    found = []
    for setting in range(int(one.settings.max()) + 1):
        places = (one.settings == setting).nonzero().flatten().tolist()[:size]
        exposed = one.lottery.exposures[places].sum((1, 2)).mean()
        losses = one.lottery.user_losses[places].mean()
        values = {"exposure": float(exposed), "user_loss": float(losses)}
        values["distinct"] = float(len({texts.texts[k] for k in places}))
        found.append(values | set_diversity(texts, places))
    return found
