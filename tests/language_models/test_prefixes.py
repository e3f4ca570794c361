"""Prompts that several rows go on from: plain ones have the same numbers whatever is framed beside them."""

import pytest
import torch

from auctionsim.language_models import Change, Framing, Framings, prefill_together, prefill_under
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
PROMPTS = ["Which shoes?", "Which of all these shoes would you rather have?"]


def test_a_plain_prompt_has_its_own_numbers_beside_framed_ones() -> None:
    change = Change(4, Framings((Framing(), Framing("Say Nike."), Framing(before="Puma: "), Framing())))
    prefix = prefill_under(MODEL, [PROMPTS[0]] * 3 + [PROMPTS[1]], 8, change)
    alone = prefill_together(MODEL, [MODEL.chat_ids(prompt) for prompt in PROMPTS], 8)
    assert prefix.owner.tolist() == [[0, 2, 3, 1]]
    for mine, theirs in zip((*prefix.keys, *prefix.values), (*alone.keys, *alone.values), strict=True):
        for k, length in enumerate(alone.lengths.tolist()):
            assert torch.equal(mine[k, :, :length], theirs[k, :, :length])


def test_one_prompt_serves_all_rows_of_an_unframed_change() -> None:
    prefix = prefill_under(MODEL, PROMPTS[:1], 8, Change(5))
    assert prefix.num_rows == 1
    assert len(prefix.lengths) == 1


def test_prompts_and_rows_must_fit() -> None:
    with pytest.raises(ValueError, match="2 prompts for a change of 3 rows"):
        prefill_under(MODEL, PROMPTS, 8, Change(3))
