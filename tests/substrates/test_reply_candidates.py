"""Candidates of a law that reads no bids: whose draws they are, what they are worth, and the auction among them."""

import pytest
import torch
from torch import Tensor

from auctionsim.brands import parse_brands
from auctionsim.carriers import Carrier, Neurons
from auctionsim.carriers.choice import ReplyChoice
from auctionsim.carriers.displayed_bids import DisplayedBids
from auctionsim.carriers.logit_bias import BrandTokens
from auctionsim.carriers.prompt_ad import PromptAd
from auctionsim.carriers.slots import Slots
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.language_models.framing import Framing
from auctionsim.mechanisms import KLTilt
from auctionsim.neurons import BrandNeurons
from auctionsim.prompts import PromptSet
from auctionsim.readings import HIGHER, LOWER, TextReading, Unscored, register
from auctionsim.readings.registry import unregister
from auctionsim.substrates import LanguageModelSubstrate, Lottery, Manner, Randomised
from auctionsim.testing import check_substrate, fake_language_model

MODEL = fake_language_model(end_gain=2.5)
BRANDS = parse_brands("Nike|best|have|are,can|people|is|be")
ASKED = "Which shoes?"
STRONG = torch.tensor([[32.0, 4.0], [0.0, 1.0]])


def neurons(model: str = MODEL.identity) -> Neurons:
    ranking = torch.randperm(MODEL.num_layers * MODEL.num_neurons, generator=torch.Generator().manual_seed(0))[:64]
    found = BrandNeurons(
        brands=BRANDS,
        ranking=ranking.view(2, 32),
        scores=torch.ones(2, 32),
        attributions=torch.ones(2, MODEL.num_layers, MODEL.num_neurons),
        method="random",
        model=model,
        prompts_digest="0",
    )
    return Neurons(found, num_neurons=32, amplification=4.0)


def sampled(candidates: int = 6, seed: int = 0, carrier: Carrier | None = None, **more: object) -> Lottery:
    settings = {"prompt": ASKED, "max_new_tokens": 8, **more}
    return Lottery.sampled(MODEL, carrier or neurons(), candidates, seed, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("allocation", [None, STRONG], ids=["untouched", "amplified"])
def test_candidates_are_independent_draws_of_the_model_under_one_setting(allocation: Tensor | None) -> None:
    """The replies of a live model that is seeded alike, one after the other; their names are counted in the texts."""
    prompts = PromptSet(("ask",), ((ASKED, "What shoes do you like?"),))
    live = LanguageModelSubstrate(MODEL, neurons(), prompts, max_new_tokens=8, seed=3, manner=Manner(leads=()))
    lottery = sampled(6, seed=3, allocation=allocation)
    levers = live.null_allocation(1) if allocation is None else allocation.unsqueeze(0)
    assert list(lottery.texts) == live.replies(ASKED, levers, (), 6).texts
    assert len(set(lottery.texts)) > 1
    named = [[float(bool(brand.spans(text))) for brand in BRANDS] for text in lottery.texts]
    assert lottery.exposures.squeeze(2).tolist() == named
    assert lottery.reference.tolist() == pytest.approx([1 / 6] * 6)
    assert not bool(lottery.user_losses.any())
    assert lottery.texts[:4] == sampled(4, seed=3, allocation=allocation).texts  # more candidates change none
    assert lottery.texts != sampled(6, seed=4, allocation=allocation).texts
    assert (lottery.texts == sampled(6, seed=3).texts) is (allocation is None)


FIRST = tuple((MODEL.tokenizer(f" {brand.name}", add_special_tokens=False).input_ids[0],) for brand in BRANDS)
DOORS: dict[str, tuple[Carrier, Tensor]] = {
    "before": (PromptAd(BRANDS, "shoes"), torch.tensor([[1.0], [0.0]])),
    "at": (BrandTokens(BRANDS, FIRST, MODEL.vocabulary_size, bias=4.0), torch.tensor([[4.0], [1.0]])),
    "beside": (
        TokenMixture(BRANDS, tuple(Framing(f"Praise {brand.names[0]}.") for brand in BRANDS)),
        torch.tensor([[0.5], [0.25]]),
    ),
    "after": (Slots(BRANDS, "shoes"), torch.tensor([[1.0], [0.0]])),
    "chosen": (ReplyChoice(BRANDS, candidates=3), torch.tensor([[2.0], [1.0]])),
}


@pytest.mark.parametrize("door", DOORS)
def test_candidates_come_by_every_door(door: str) -> None:
    carrier, allocation = DOORS[door]
    prompts = PromptSet(("ask",), ((ASKED, "What shoes do you like?"),))
    live = LanguageModelSubstrate(MODEL, carrier, prompts, max_new_tokens=8, seed=3, manner=Manner(leads=()))
    lottery = sampled(4, seed=3, carrier=carrier, allocation=allocation)
    assert list(lottery.texts) == live.replies(ASKED, allocation.unsqueeze(0), (), 4).texts


def test_repeats_are_kept() -> None:
    lottery = sampled(5, temperature=0.0)
    assert len(set(lottery.texts)) == 1
    assert lottery.reference.tolist() == pytest.approx([0.2] * 5)


def test_it_is_called_by_its_readings_and_its_losses_are_beside_their_mean() -> None:
    for name, kind in (("letters", LOWER), ("room", HIGHER)):
        unit = "letters"
        register(
            TextReading(name, unit, per="reply", loss=kind, read=lambda replies, brands: [len(r.text) for r in replies])
        )
    try:
        low, high = (sampled(exposure="hits", loss=name) for name in ("letters", "room"))
    finally:
        unregister("letters"), unregister("room")
    lengths = torch.tensor([float(len(text)) for text in low.texts], dtype=torch.float64)
    torch.testing.assert_close(low.user_losses, lengths - lengths.mean())
    torch.testing.assert_close(high.user_losses, lengths.mean() - lengths)
    assert (low.features, low.losses) == (("hits",), ("letters",))
    assert low.units == {"hits": "hits a reply", "letters": "letters"}
    assert low.charged_loss.name == "letters"
    assert float(low.user_loss(low.null_allocation(1, dtype=torch.float64))) == pytest.approx(0, abs=1e-12)
    hits = [[float(brand.hits(text)) for brand in BRANDS] for text in low.texts]
    assert low.exposures.squeeze(2).tolist() == hits


def test_it_is_a_lottery_like_any_other_and_truth_is_dominant_on_it() -> None:
    lottery = sampled(12, temperature=1.5, max_new_tokens=16)
    assert isinstance(lottery, Randomised)
    check_substrate(lottery, examples=2)
    rule = KLTilt(lottery, 0.5)
    assert rule.dsic_proof(lottery) is not None
    bids = torch.tensor([[[2.0], [1.0]]], dtype=torch.float64)
    rewards = 2.0 * lottery.exposures[:, 0, 0] + lottery.exposures[:, 1, 0]
    assert rewards.unique().numel() > 1
    torch.testing.assert_close(rule(bids).allocation[0], torch.softmax(rewards / 0.5, 0))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"carrier": DisplayedBids(BRANDS, "shoes")}, "does not read bids: displayed-bids shows bids to the model"),
        ({"allocation": lambda bids: bids}, "pass one allocation and no function of bids"),
        ({"allocation": STRONG.unsqueeze(0)}, r"of shape \(2, 2\), got \(1, 2, 2\)"),
        ({"allocation": 2 * STRONG}, r"neurons takes num_neurons in \[0, 32\]"),
        ({"carrier": neurons("other:0123456789abcdef")}, "the neurons were identified on other"),
        ({"candidates": 0}, "candidates must be an integer >= 1"),
        ({"seed": -1}, "seed must be an integer >= 0"),
        ({"exposure": "repetition_rate"}, "must be a reading of texts per brand, got 'repetition_rate'"),
        ({"exposure": "slot_probability"}, "must be a reading of texts per brand, got 'slot_probability'"),
        ({"loss": "hits"}, "must be a reading of texts that is a loss, got 'hits'"),
        ({"loss": "kl"}, "must be a reading of texts that is a loss, got 'kl'"),
        ({"exposure": "no_such"}, "no reading is called 'no_such'"),
        ({"temperature": -0.5}, "temperature must be a number"),
    ],
)
def test_what_reads_bids_and_what_cannot_be_read_is_refused(more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        sampled(**more)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_candidate_that_a_reading_leaves_unscored_is_refused() -> None:
    register(TextReading("never", "shares", per="brand", read=lambda replies, brands: [Unscored("no words")] * 6))
    try:
        with pytest.raises(ValueError, match=r"never left candidate 0 unscored \(no words\)"):
            sampled(exposure="never")
    finally:
        unregister("never")
