"""Pages on a live model: replies are decoded and judged once, candidates have places, null rows are untouched."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers.protocol import Carrier
from auctionsim.errors import UnsupportedError
from auctionsim.language_models import Framing, Framings, Intervention, ShownPage
from auctionsim.language_models.change import Change
from auctionsim.language_models.decoding import Replies
from auctionsim.levers import Lever
from auctionsim.prompts import build_prompts
from auctionsim.storage import Stored
from auctionsim.substrates import drawing
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
from auctionsim.testing import fake_language_model

MODEL = fake_language_model()
AD = "\nNike."


@dataclass(frozen=True)
class LastOf:
    """Shows the last of some candidates, and an ad below it, where a row is on."""

    on: tuple[bool, ...]
    candidates: int

    @property
    def num_rows(self) -> int:
        return len(self.on)

    @property
    def null(self) -> Tensor:
        return ~torch.tensor(self.on, dtype=torch.bool)

    def select(self, rows: Tensor | slice) -> "LastOf":
        return LastOf(tuple(torch.tensor(self.on)[rows].tolist()), self.candidates)

    def repeat(self, times: int) -> "LastOf":
        return LastOf(tuple(on for on in self.on for _ in range(times)), self.candidates)

    def shown(
        self, texts: Sequence[Sequence[str]], uniforms: Tensor, pools: Sequence[Sequence[str]]
    ) -> list[ShownPage]:
        assert len(texts) == len(uniforms) == len(pools) == self.num_rows
        assert all(set(own) <= set(pool) for own, pool in zip(texts, pools, strict=True))
        pages = []
        for on, own in zip(self.on, texts, strict=True):
            last = own[-1]
            page = ShownPage(len(own) - 1, last + AD, ((len(last) + 1, len(last) + len(AD)),), 0.25)
            pages.append(page if on else ShownPage(0, own[0]))
        return pages


class LastWithAd(Carrier):
    name = "last-with-ad"
    without = ("slot_probability", "intent")

    def __init__(self, candidates: int) -> None:
        self.brands, self.levers, self.candidates = (Brand("Nike"),), (Lever("on", 0.0, 1.0, 0.0),), candidates

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        del context
        on = tuple((self.checked(allocation)[:, 0, 0] > 0).tolist())
        return Change(len(on), after=LastOf(on, self.candidates))

    def ladder(self) -> Tensor:
        return torch.ones(1, 1)

    def stored(self) -> Stored:
        return Stored({}, {})


def live(candidates: int) -> LanguageModelSubstrate:
    manner = Manner(leads=(), readings=("reply_kl",))
    carrier = LastWithAd(candidates)
    prompts = build_prompts("running shoes").first(1)
    return LanguageModelSubstrate(MODEL, carrier, prompts, samples=3, max_new_tokens=6, manner=manner)


ALLOCATIONS = torch.tensor([[[0.0]], [[1.0]], [[0.0]], [[1.0]]])


@pytest.mark.parametrize("candidates", [1, 3])
def test_null_rows_show_the_untouched_reply_and_others_their_page(candidates: int) -> None:
    substrate = live(candidates)
    prompt = substrate.prompts.prompts[0][0]
    batch = substrate.replies(prompt, ALLOCATIONS, (0, 0), 3)
    still = live(1).replies(prompt, ALLOCATIONS[:1], (0, 0), 3)
    for row in (0, 2):
        assert [(one.text, one.token_ids, one.ads) for one in batch.replies[3 * row : 3 * row + 3]] == [
            (one.text, one.token_ids, ()) for one in still.replies
        ]
    assert batch.replies[3:6] == batch.replies[9:12]
    for shown, own in zip(batch.replies[3:6], still.replies, strict=True):
        assert shown.text.endswith(AD)
        assert [shown.text[a:b] for a, b in shown.ads] == ["Nike."]
        assert (shown.text.removesuffix(AD) == own.text) == (candidates == 1)
    nats = batch.numbers("reply_kl").view(4, 3)
    assert (nats[[0, 2]] == 0).all()
    assert (nats[[1, 3]] == 0.25).all()
    assert (batch.numbers("kl") == 0).all()
    assert (batch.numbers("mention_probability").view(4, 3)[:, 0] == torch.tensor([0.0, 1.0, 0.0, 1.0])).all()


def test_a_page_does_not_depend_on_its_batch() -> None:
    substrate = live(3)
    prompt = substrate.prompts.prompts[0][0]
    together = substrate.replies(prompt, ALLOCATIONS, (0, 0), 3).replies[3:6]
    assert substrate.replies(prompt, ALLOCATIONS[1:2], (0, 0), 3).replies == together
    assert substrate.replies(prompt, ALLOCATIONS[1:2], (0, 0), 1, first=2).replies == together[2:]


def test_observing_is_the_mean_of_replies() -> None:
    substrate = live(3)
    seen = substrate.observe(ALLOCATIONS)
    assert substrate.features == ("mention_probability", "hits")
    assert (seen.exposure[:, 0, 0] == torch.tensor([0.0, 1.0, 0.0, 1.0])).all()
    assert torch.allclose(seen.losses["reply_kl"], torch.tensor([0.0, 0.25, 0.0, 0.25]).to(seen.losses["reply_kl"]))


def test_a_page_rests_on_all_its_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that overflowed spoils the pages that could have shown it, and no others."""
    decode = drawing.sample_replies

    def overflowing(*args: Any, **kwargs: Any) -> Replies:
        found = decode(*args, **kwargs)
        return replace(found, finite=torch.arange(len(found.finite)) != 4)  # the second of the second place

    substrate = live(3)
    prompt = substrate.prompts.prompts[0][0]
    monkeypatch.setattr(drawing, "sample_replies", overflowing)
    with pytest.raises(ValueError, match="logits are not finite"):
        substrate.replies(prompt, ALLOCATIONS[1:2], (0, 0), 3)
    assert len(substrate.replies(prompt, ALLOCATIONS[1:2], (0, 0), 1).replies) == 1


def test_a_choice_is_one_among_untouched_replies() -> None:
    choice = LastOf((True, True), 3)
    for beside in (
        {"before": Framings((Framing(after="!"), Framing()))},
        {"inside": Intervention(torch.ones(2, 2, 48))},
    ):
        with pytest.raises(UnsupportedError, match="open no door beside a choice among several"):
            Change(2, after=choice, **beside)
        assert Change(2, after=LastOf((True, True), 1), **beside).candidates == 1
