"""A small carrier of every kind that is registered, made by hand: what the fuzz bends."""

import torch

from auctionsim.brands import parse_brands
from auctionsim.carriers import Carrier, Neurons
from auctionsim.carriers.choice import ReplyChoice
from auctionsim.carriers.displayed_bids import DisplayedBids
from auctionsim.carriers.insertion import Insertion
from auctionsim.carriers.log_linear_mixture import LogLinearTokenMixture
from auctionsim.carriers.logit_bias import BrandTokens
from auctionsim.carriers.low_rank import LowRankUpdates
from auctionsim.carriers.prompt_ad import PromptAd
from auctionsim.carriers.residual_vector import ResidualVectors
from auctionsim.carriers.segments import Segments
from auctionsim.carriers.slots import Slots
from auctionsim.carriers.token_mixture import TokenMixture
from auctionsim.language_models.framing import Framing
from auctionsim.language_models.low_rank import LowRankFactors
from auctionsim.levers import null_levers
from auctionsim.neurons import BrandNeurons

BRANDS = parse_brands("Nike,Adidas|adi")
TEXTS = ("See {brand}.", "{brand} sells {category}.")
COMPANIONS = tuple(Framing(system=f"Name {brand.name}.") for brand in BRANDS)
MODEL = "fake:0123456789abcdef"


def small_neurons() -> BrandNeurons:
    """Return neurons of two brands on a model of two layers."""
    signs, references = torch.tensor([[1.0, -1.0], [1.0, 1.0]]), torch.ones(2, 2)
    ranking = torch.tensor([[0, 3], [5, 2]])
    ranked = (ranking, torch.ones(2, 2), torch.ones(2, 2, 4))
    return BrandNeurons(BRANDS, *ranked, "random", MODEL, "0", {"torch": "2"}, signs, references)


def small_carriers() -> dict[str, Carrier]:
    """Return the carriers by name."""
    factors = LowRankFactors((0, 2), torch.ones(2, 2, 1, 4), torch.ones(2, 2, 3, 1))
    made: list[Carrier] = [
        Neurons(small_neurons(), num_neurons=2, mode="clamp"),
        BrandTokens(BRANDS, ((1, 5), (2, 3)), 20),
        ReplyChoice(BRANDS, 4),
        PromptAd(BRANDS, "shoes", TEXTS),
        Segments(BRANDS, "shoes", TEXTS),
        Slots(BRANDS, "shoes", TEXTS),
        Insertion(BRANDS, "shoes", TEXTS),
        DisplayedBids(BRANDS, "shoes", "Sponsors of {category}:"),
        TokenMixture(BRANDS, COMPANIONS),
        LogLinearTokenMixture(BRANDS, COMPANIONS),
        ResidualVectors(BRANDS, (0, 2), torch.ones(2, 3), MODEL),
        LowRankUpdates(BRANDS, factors, MODEL),
    ]
    return {carrier.name: carrier for carrier in made}


def use_carrier(carrier: Carrier) -> None:
    """Sell a carrier: the null, and every rung of its ladder for each brand alone."""
    nulls, ladder = null_levers(carrier.levers, len(carrier.brands)), carrier.ladder()
    assert bool(ladder.isfinite().all()), "a rung that is no number"
    assert bool(carrier.change(nulls[None]).null.all()), "the null changes something"
    brands = (0, len(carrier.brands) - 1)
    for rung in (ladder[0], ladder[-1]):
        alone = nulls.repeat(len(brands), 1, 1)
        for row, brand in enumerate(brands):
            alone[row, brand] = rung
        if carrier.name != "neurons":  # whose amplification may end at 1, or close to it
            assert not bool(carrier.change(alone).null.any()), "a rung changes nothing"
    check_numbers(carrier.change(alone.float()))
    assert len(carrier.digest) == 16
    assert carrier.stored().record == carrier.stored().record
    repr(carrier)


def check_numbers(change: object) -> None:
    """Refuse a change that holds a number that is none."""
    for part in (getattr(change, name) for name in ("inside", "at", "after")):
        for name in ("scale", "shift", "weights", "bias", "tilts"):
            numbers = getattr(part, name, None)
            if isinstance(numbers, torch.Tensor):
                assert bool(numbers.isfinite().all()), f"{name} holds a number that is none"
