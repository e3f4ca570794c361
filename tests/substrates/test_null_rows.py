"""Rows that nothing is done to are drawn as the untouched model draws them, whatever prompts stand beside them."""

from typing import Any

import pytest
import torch

from auctionsim.brands import parse_brands
from auctionsim.carriers import Carrier
from auctionsim.carriers.ad_wordings import prompt_ad
from auctionsim.carriers.prompt_ad import PromptAd
from auctionsim.carriers.slots import Slots
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.language_models import LanguageModel
from auctionsim.language_models.change import Change
from auctionsim.language_models.prefixes import Prefix, prefill
from auctionsim.prompts import PromptSet
from auctionsim.substrates import drawing
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
from auctionsim.testing import fake_language_model

MODEL = fake_language_model(end_gain=2.5, dtype=torch.bfloat16)
EXACT = fake_language_model(end_gain=2.5)
BRANDS = parse_brands("Nike,Puma")
PROMPTS = PromptSet(("ask",), (("Which shoes?", "What shoes do you like?"),))
FRAMED = (
    PromptAd(BRANDS, "running shoes", ["We like {brand}."]),
    TokenMixture(BRANDS, tuple(prompt_ad(brand, "running shoes", "We like {brand}.") for brand in BRANDS)),
)


def live(carrier: Carrier, model: LanguageModel = MODEL) -> LanguageModelSubstrate:
    manner = Manner(leads=(), readings=("reply_kl",))
    return LanguageModelSubstrate(model, carrier, PROMPTS, samples=3, max_new_tokens=8, manner=manner)


@pytest.mark.parametrize("carrier", FRAMED, ids=lambda carrier: carrier.name)
def test_null_rows_are_drawn_apart_from_longer_prompts(carrier: Carrier, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Prefix, Change]] = []
    draw = drawing.sample_replies

    def noted(model: Any, prefix: Prefix, change: Change, *args: Any, **kwargs: Any) -> Any:
        seen.append((prefix, change))
        return draw(model, prefix, change, *args, **kwargs)

    prompt, allocation = PROMPTS.prompts[0][0], torch.tensor([[[1.0], [0.0]], [[0.0], [0.0]], [[0.0], [1.0]]])
    still = live(Slots(BRANDS, "running shoes")).replies(prompt, allocation[1:2], (0, 0), 3)
    monkeypatch.setattr(drawing, "sample_replies", noted)
    together = live(carrier).replies(prompt, allocation, (0, 0), 3)
    assert together.replies[3:6] == still.replies
    (prefix, change), (framed, others) = seen
    plain = prefill(MODEL, MODEL.chat_ids(prompt), 8)
    assert (change.num_rows, others.num_rows, len(framed.owner)) == (3, 6, 1 + len(others.companions))
    assert all(torch.equal(mine, own) for mine, own in zip(prefix.keys, plain.keys, strict=True)), "to the bit"
    assert (together.numbers("reply_kl") == 0).tolist() == [False] * 3 + [True] * 3 + [False] * 3


@pytest.mark.parametrize("carrier", FRAMED, ids=lambda carrier: carrier.name)
def test_several_prompts_with_and_without_framings_are_one_answer(carrier: Carrier) -> None:
    allocation = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]], [[0.0], [0.0]]])
    framed, slots = live(carrier, EXACT), live(Slots(BRANDS, "running shoes"), EXACT)
    seen, null = framed.observe(allocation), slots.observe(allocation[:1])
    place = framed.features.index("hits"), slots.features.index("hits")
    for row in (0, 2):
        assert torch.equal(seen.exposure[row, :, place[0]], null.exposure[0, :, place[1]])
        assert seen.losses["reply_kl"][row] == 0
    assert seen.losses["reply_kl"][1] > 0
    assert framed.observe(allocation[:1]).losses["reply_kl"].tolist() == [0]
