"""Choice among replies: which is shown, how often, and how far the shown reply's law is from the untouched one."""

import math

import pytest
import torch

from auctionsim import carriers
from auctionsim.brands import parse_brands
from auctionsim.carriers.choice import ReplyChoice, TiltedChoice
from auctionsim.language_models.change import Page
from auctionsim.language_models.choice_law import choice_divergence, choice_law, most_divergence, pooled_divergence

BRANDS = parse_brands("Nike,Adidas")
NONE, NIKE, BOTH = "Any will do.", "Take Nike. Nike lasts.", "Nike or Adidas."
POOL = [NONE] * 16 + [NIKE] * 3 + [BOTH] * 1
"""Shares .8, .15 and .05; with tilts (2, 1) rewards 0, 2 and 3: the known answer for four candidates."""


def choice(*tilts: list[float], candidates: int = 4) -> TiltedChoice:
    change = ReplyChoice(BRANDS, candidates).change(torch.tensor(tilts)[:, :, None])
    assert isinstance(change.after, TiltedChoice)
    assert isinstance(change.after, Page)
    assert change.reply_null.all()  # what is drawn is the untouched model's
    assert torch.equal(change.null, change.after.null)
    return change.after


def test_shown_replies_have_the_law_of_the_known_answer() -> None:
    """Every draw of four candidates, weighted by its chance, at uniforms that part [0, 1) equally."""
    kinds, shares = [NONE, NIKE, BOTH], [0.8, 0.15, 0.05]
    draws = torch.cartesian_prod(*[torch.arange(3)] * 4).tolist()
    page, steps = choice([2.0, 1.0]), 20
    law, uniforms = dict.fromkeys(kinds, 0.0), (torch.arange(steps) + 0.5) / steps
    texts = [[kinds[k] for k in draw] for draw in draws for _ in range(steps)]
    pages = page.shown(texts, uniforms.repeat(len(draws)), [POOL] * len(texts))
    for place, shown in enumerate(pages):
        assert shown.text == texts[place][shown.candidate]
        law[shown.text] += math.prod(shares[k] for k in draws[place // steps]) / steps
    assert list(law.values()) == pytest.approx([0.527127, 0.325323, 0.147550], abs=0.005)


def test_a_pages_divergence_is_that_of_the_shown_replys_law() -> None:
    reference, rewards = torch.tensor([0.8, 0.15, 0.05]), torch.tensor([0.0, 2.0, 3.0])
    page = choice([2.0, 1.0])
    (shown,) = page.shown([[NONE, NIKE, NONE, BOTH]], torch.tensor([0.3]), [POOL])
    law = choice_law(reference, rewards, 4)
    kl = float((law * (law / reference).log()).sum())
    assert kl == pytest.approx(choice_divergence(reference, rewards, 4), abs=1e-6)
    assert shown.divergence == pytest.approx(pooled_divergence(20 * reference, rewards, 4), abs=1e-6)
    (surer,) = page.shown([[NONE, NIKE, NONE, BOTH]], torch.tensor([0.3]), [POOL * 200])
    assert surer.divergence == pytest.approx(kl, abs=1e-4)
    for tilt in (0.5, 3.0, 8.0):
        (strong,) = choice([tilt, 0.0], candidates=8).shown([[NONE] * 8], torch.tensor([0.3]), [POOL])
        assert 0 < (strong.divergence or 0.0) < most_divergence(8)


def test_null_rows_show_the_first_candidate_and_others_the_likelier() -> None:
    page = choice([0.0, 0.0], [8.0, 0.0], [0.0, 8.0])
    texts = [NONE, NIKE, NIKE, BOTH]
    shown = page.shown([texts] * 3, torch.tensor([0.9, 0.4, 0.4]), [POOL] * 3)
    assert [one.candidate for one in shown] == [0, 2, 3]
    assert shown[0] == (0, NONE, (), 0.0)
    first, last = (page.shown([texts] * 3, torch.full((3,), u), [POOL] * 3)[1] for u in (0.0, 0.99999994))
    assert (first.candidate, last.candidate) == (0, 3)


def test_where_no_candidate_names_a_brand_each_is_as_likely() -> None:
    page, steps = choice([5.0, 0.0]), 8
    texts = [f"{NONE} {k}" for k in range(4)]
    pages = page.select(torch.zeros(steps, dtype=torch.int64)).shown(
        [texts] * steps, (torch.arange(steps) + 0.5) / steps, [texts] * steps
    )
    assert [one.candidate for one in pages] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert {one.divergence for one in pages} == {0.0}


def test_choices_are_values_of_rows() -> None:
    page = choice([0.0, 0.0], [1.0, 0.0], [0.0, 2.0])
    assert page.select(torch.tensor([True, False, True])).tilts.tolist() == [[0, 0], [0, 2]]
    assert page.repeat(2).select(slice(1, 4)).tilts.tolist() == [[0, 0], [1, 0], [1, 0]]
    assert page.select(slice(1, 2)).select(torch.tensor([0, 0])).num_rows == 1
    with pytest.raises(ValueError, match="a choice of 3 rows for 2 pages"):
        page.shown([[NONE] * 4] * 2, torch.zeros(2), [POOL] * 2)
    with pytest.raises(ValueError, match="a choice among 4 takes as many candidates and a pool, got 3 and 20"):
        page.shown([[NONE] * 3] * 3, torch.zeros(3), [POOL] * 3)


def test_a_file_gives_the_same_carrier(tmp_path: pytest.TempPathFactory) -> None:
    carrier, path = ReplyChoice(BRANDS, 5, tilt=3.0), f"{tmp_path}/carrier.safetensors"
    carriers.save_carrier(path, carrier)
    again = carriers.load_carrier(path)
    assert isinstance(again, ReplyChoice)
    assert (again.candidates, again.levers, again.digest) == (5, carrier.levers, carrier.digest)
    assert carrier.digest != ReplyChoice(BRANDS, 6, tilt=3.0).digest
    with pytest.raises(ValueError, match="candidates must be an integer >= 2, got 1"):
        ReplyChoice(BRANDS, 1)
