"""Self-BLEU of all replies to a prompt: how much they say the same; low is varied.

The mean over replies of the BLEU of one against all others as references, by sacrebleu: up to 4 words a gram, fewer
where a reply is shorter, exponential smoothing. Words are those of `auctionsim.readings.words`, so that case, signs
and the tokenizer of a language make no difference. It is 1 where all are equal; with more replies it rises by itself,
since each has more references: compare sets of one size.

Source: Zhu et al. (2018), "Texygen: a benchmarking platform for text generation models"; Post (2018), "A call for
clarity in reporting BLEU scores".
"""

import math
from collections.abc import Sequence

from auctionsim.brands import Brand
from auctionsim.readings.protocol import Reply, TextReading, Unscored
from auctionsim.readings.registry import register
from auctionsim.readings.words import words


def self_bleu(texts: Sequence[str]) -> float | Unscored:
    """Return the mean BLEU of each text against the others, in [0, 1]; unscored where fewer than two have a word."""
    from sacrebleu.metrics import BLEU

    spaced = [" ".join(listed) for listed in map(words, texts) if listed]
    if len(spaced) < 2:
        return Unscored("fewer than two replies with words")
    bleu = BLEU(tokenize="none", effective_order=True)
    scores = [bleu.sentence_score(text, spaced[:k] + spaced[k + 1 :]).score for k, text in enumerate(spaced)]
    return min(1.0, math.fsum(scores) / (100 * len(scores)))  # above 1 by rounding only


def _read(replies: Sequence[Reply], brands: tuple[Brand, ...]) -> float | Unscored:  # noqa: ARG001
    return self_bleu([reply.text for reply in replies])


SELF_BLEU = register(TextReading("self_bleu", "BLEU", per="set", bounds=(0.0, 1.0), read=_read))
