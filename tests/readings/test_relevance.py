"""Relevance is the cosine with the question, and its lowest part cannot be bought by relevant text around it."""

import pytest
import torch

from auctionsim import readings
from auctionsim.readings import Reply, Unscored
from auctionsim.readings.cosines import cosine, kernel, model_suffix, windows
from auctionsim.readings.relevance import STRIDE, WIDTH
from auctionsim.readings.values import read_texts

QUESTION = "Which running shoes would you choose?"
GOOD = "For the road I would choose light running shoes with a soft sole, and for trails a pair with more grip. "
DRIFT = (
    "The committee met on Tuesday to discuss the budget for next year. Two members asked for more money for the "
    "library, and the others preferred to repair the roof of the school before the winter. Nobody spoke against the "
    "minutes of the meeting in March, which were read by the secretary. "
)


def test_windows_cover_every_token_and_keep_their_width() -> None:
    for size in range(1, 120):
        tokens = tuple(range(size))
        parts = windows(tokens, WIDTH, STRIDE)
        assert {token for part in parts for token in part} == set(tokens)
        assert all(len(part) == min(WIDTH, size) for part in parts)
        assert len(set(parts)) == len(parts)
        assert parts[-1][-1] == size - 1
    assert windows((), WIDTH, STRIDE) == []


def test_a_stretch_of_47_tokens_holds_a_window_wherever_it_begins() -> None:
    longest = WIDTH + STRIDE - 1
    for start in range(150 - longest):
        inside = set(range(start, start + longest))
        assert any(set(part) <= inside for part in windows(tuple(range(150)), WIDTH, STRIDE))


def test_cosines_stay_within_their_bounds() -> None:
    row = torch.full((3,), 0.57735026919, dtype=torch.float64) * (1 + 1e-9)
    assert cosine(row, row) == 1.0
    assert cosine(row, -row) == -1.0
    assert kernel([row, -row]).tolist() == [[1, -1], [-1, 1]]


def test_another_model_has_a_suffix() -> None:
    assert model_suffix("minilm") == ""
    assert model_suffix("Mine/My Encoder.v2") == "_mine_my_encoder_v2"


@pytest.mark.model
def test_padding_buys_relevance_and_not_its_lowest() -> None:
    texts = (GOOD, DRIFT, GOOD * 3 + DRIFT + GOOD * 3, "", "\n")
    replies = [Reply(QUESTION, text, [1], (k,)) for k, text in enumerate(texts)]
    whole, lowest = (read_texts(readings.reading(name), replies, ()) for name in ("relevance", "relevance_lowest"))
    good, drift, padded = (float(value) for value in whole[:3])
    assert good > 0.5 > 0.2 > drift
    assert padded > 0.5
    assert float(lowest[2]) == pytest.approx(float(lowest[1]), abs=0.1)
    assert float(lowest[0]) == pytest.approx(good), "a short reply is one window"
    assert whole[3:] == lowest[3:] == [Unscored("no text to embed")] * 2
    blank = [reply._replace(prompt=" ") for reply in replies[:1]]
    assert read_texts(readings.reading("relevance"), blank, ()) == [Unscored("no question to embed")]
