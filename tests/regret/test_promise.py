"""Promised regret: against regret in drawn worlds, how it falls with samples, how often it holds."""

import numpy as np
import pytest
import torch
from measured_fakes import fake_subsets

from auctionsim.experiments.running.thinning import thinned
from auctionsim.mechanisms import Mechanism, PerMention, VirtualWelfareMaximizer
from auctionsim.priors import Uniform, product
from auctionsim.regret import ex_post_regret
from auctionsim.regret.promise import promised_regret
from auctionsim.substrates import ResponseSurface
from auctionsim.substrates.estimates import Estimation, estimated, halves
from auctionsim.substrates.measured_substrate import MeasuredSubstrate

U = Uniform(0, 1)


def profiles(view: MeasuredSubstrate, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    valuations = product(U, view.num_bidders).sample(rows, generator, torch.float64)
    return valuations, torch.randint(len(view.contexts), (rows,), generator=generator)


def deployed(rule: Mechanism, pays: MeasuredSubstrate, rows: int) -> float:
    valuations, context = profiles(pays, rows)
    found = ex_post_regret(rule.delivered(pays), pays, valuations, context=context, high=1.0)
    assert found.upper is not None
    return float(found.upper.amax(1).mean())


@pytest.mark.parametrize("charged", [lambda rule: rule, PerMention], ids=["estimates", "per mention"])
def test_what_is_promised_is_the_regret_of_drawn_worlds(charged: type[PerMention]) -> None:
    """The mean promise for a payer as noisy as half a sample is the mean regret over halves drawn so."""
    view = fake_subsets(2).sell("hits")
    rule = charged(VirtualWelfareMaximizer(view, U, 0.3))
    generator = torch.Generator().manual_seed(1)
    drawn = [deployed(rule, halves(view, generator)[0], 8) for _ in range(12)]  # y + s z
    promise = promised_regret(rule, view, *profiles(view, 8), draws=400, generator=generator)
    spread = float(torch.tensor(drawn).std()) / 12**0.5
    assert abs(promise.mean - sum(drawn) / 12) <= 4 * spread + 0.1 * promise.mean  # t of 15 degrees and more
    assert promise.bound >= promise.mean > 0


def test_more_samples_promise_less_and_a_noisy_payer_more() -> None:
    view = fake_subsets(2).sell("hits")
    rule, given = VirtualWelfareMaximizer(view, U, 0.3), profiles(view, 32)

    def bound(**how: float) -> float:
        return promised_regret(rule, view, *given, draws=100, generator=torch.Generator().manual_seed(0), **how).bound

    assert 0 < bound(samples=100.0) < bound(samples=4.0) < bound() < bound(paid_by=1.0)
    assert bound(samples=0.5) == pytest.approx(bound(paid_by=1.0))
    assert bound(confidence=0.5) < bound(confidence=0.9)


def test_rules_without_breakpoints_or_measured_choices_are_refused() -> None:
    view = fake_subsets(2).sell("hits")

    class Unknown(VirtualWelfareMaximizer):
        def clear(self, bids, context):  # type: ignore[no-untyped-def]
            return super().clear(bids, context)

    with pytest.raises(NotImplementedError, match="Unknown has none"):
        promised_regret(Unknown(view, U), view, *profiles(view, 4))
    on_estimates = VirtualWelfareMaximizer(estimated(view, Estimation("lower", 0.5)), U)
    assert promised_regret(on_estimates, view, *profiles(view, 4), draws=5).draws == 5


@pytest.mark.deep
@pytest.mark.parametrize("charged", [lambda rule: rule, PerMention], ids=["estimates", "per mention"])
@pytest.mark.parametrize("name", ["running-shoes-2@3", "running-shoes-3@2"])
def test_the_bound_holds_on_b_for_random_halves_of_stored_replies(name: str, charged: type[PerMention]) -> None:
    """Designs on halves of A's replies, paid by the whole of B, whose squared error is half of a half's."""
    whole, held, numbers = ResponseSurface.packaged(name), 0, np.random.default_rng(0)
    for draw in range(50):
        sold = thinned(whole, "mention_probability", 8, numbers).sell("mention_probability")
        view = sold.replicate("A")
        rule = charged(VirtualWelfareMaximizer(view, U, 1.0))
        generator = torch.Generator().manual_seed(draw)
        promise = promised_regret(rule, view, *profiles(view, 48), paid_by=0.5, draws=60, generator=generator)
        held += deployed(rule, sold.replicate("B"), 48) <= promise.bound
    assert held >= 45  # 95 % stated; one B for all halves, so they are not independent
