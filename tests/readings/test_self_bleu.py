"""Self-BLEU: closed forms, and what it does not heed."""

import math
import random

import pytest

from auctionsim.readings import Unscored
from auctionsim.readings.self_bleu import self_bleu


def test_closed_forms() -> None:
    assert self_bleu(["Take the Nike Pegasus."] * 3) == pytest.approx(1, abs=1e-12)
    assert self_bleu(["one two three four five", "six seven eight nine ten"]) < 0.1  # type: ignore[operator]
    # four words, the last differs: precisions 3/4, 2/3, 1/2, and 1/2 smoothed in place of 0 of 1
    assert self_bleu(["a b c d", "a b c e"]) == pytest.approx(math.exp(math.log(3 / 4 * 2 / 3 * 1 / 2 * 1 / 2) / 4))


def test_more_alike_is_higher_and_each_counts() -> None:
    first, second, third = (
        "Nike makes light shoes for you",
        "Nike makes heavy shoes for you",
        "Ask a shop for light shoes",
    )
    alike, mixed = self_bleu([first, second]), self_bleu([first, second, third])
    assert 0 < self_bleu([first, third]) < mixed < alike < 1  # type: ignore[operator]


def test_case_signs_and_order_make_no_difference() -> None:
    texts = ["Nike, Adidas! and Puma.", "nike adidas and Asics", "日本の靴", "日本の店", "one"]
    shuffled = [text.upper() + "…" for text in texts]
    random.Random(0).shuffle(shuffled)
    assert self_bleu(texts) == self_bleu(shuffled)


@pytest.mark.parametrize("texts", [[], ["one reply"], ["one reply", "", "🙂"]])
def test_one_reply_has_nothing_to_be_compared_with(texts: list[str]) -> None:
    assert self_bleu(texts) == Unscored("fewer than two replies with words")
