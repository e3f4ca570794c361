"""Claims belong to who makes them: proofs, closed forms, exact maxima and views, of what has changed since."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from measured_fakes import fake_surface
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim.agents.closed_forms import closed_form_equilibrium
from auctionsim.claims import behaves_as, claimed, in_force
from auctionsim.mechanisms.protocol import dsic_proof_of
from auctionsim.outcome import Outcome
from auctionsim.priors import Uniform
from auctionsim.regret import BoundSettings, InterimSettings, ex_interim_regret, ex_post_regret
from auctionsim.substrates import (
    AskedOnce,
    Bundles,
    Items,
    Lottery,
    Offer,
    Positions,
    QuadraticSubstrate,
    Substrate,
    Units,
    View,
    is_finite,
    is_separable,
    maximises_exactly,
    same_substrate,
)

PAIR, PLAIN = QuadraticSubstrate(2, 0.5), QuadraticSubstrate(2)
LOTTERY = Lottery(torch.rand(4, 2, 1, generator=torch.Generator().manual_seed(0)), torch.arange(4.0))
MENU = m.Menu(torch.tensor([[[0.5], [1.0]], [[0.25], [0.75]]]), torch.tensor([[0.1, 0.3], [0.05, 0.25]]))
LIST = torch.tensor([[[0.0], [0.0]], [[1.0], [0.0]], [[0.0], [1.0]]])
PROVED: list[tuple[type[m.Mechanism], tuple[Any, ...], Substrate]] = [
    (m.SecondPrice, (), Items(2)),
    (m.PostedPrice, (0.3,), Items(2)),
    (m.VCG, (PAIR,), PAIR),
    (m.VirtualWelfareMaximizer, (PAIR, Uniform(1, 2)), PAIR),
    (m.AffineMaximizer, (PAIR, LIST, torch.zeros(3)), PAIR),
    (m.MenuAuction, (PLAIN, MENU), PLAIN),
    (m.KLTilt, (LOTTERY, 0.5), LOTTERY),
    (m.GeneralizedSecondPrice, (Positions(2, (1.0,)),), Positions(2, (1.0,))),
    (m.VickreyUnits, (Units(2, 1),), Units(2, 1)),
]


def rebated(outcome: Outcome, bids: Tensor) -> Outcome:
    """Give half of the payment back above .95: whoever can, bids so."""
    return Outcome(outcome.allocation, torch.where(bids[..., 0] > 0.95, outcome.payments / 2, outcome.payments))


def by_clear(kind: type[Any]) -> type[Any]:
    class Rebate(kind):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            return rebated(super().clear(bids, context), bids)

    return Rebate


def by_call(kind: type[Any]) -> type[Any]:
    class Rebate(kind):
        def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
            return rebated(super().__call__(bids, context), bids)

    return Rebate


def by_mixin(kind: type[Any]) -> type[Any]:
    class Rebating:
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            return rebated(super().clear(bids, context), bids)  # type: ignore[misc]

    class Rebate(Rebating, kind):
        pass

    return Rebate


def by_grandchild(kind: type[Any]) -> type[Any]:
    class Rebate(by_clear(kind)):  # type: ignore[misc]
        """Nothing new."""

    return Rebate


CHANGES = [by_clear, by_call, by_mixin, by_grandchild]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize(("kind", "given", "place"), PROVED, ids=lambda part: getattr(part, "__name__", ""))
def test_a_changed_rule_inherits_no_proof(
    kind: type[Any], given: tuple[Any, ...], place: Substrate, change: Callable[[type[Any]], type[Any]]
) -> None:
    assert dsic_proof_of(kind(*given), place) is not None
    changed = change(kind)(*given)
    assert dsic_proof_of(changed, place) is None
    assert changed.dsic_proof(place) is None  # asked directly too


@pytest.mark.parametrize(("kind", "given", "place"), PROVED, ids=lambda part: getattr(part, "__name__", ""))
def test_a_rule_changed_on_the_object_has_no_proof(kind: type[Any], given: tuple[Any, ...], place: Substrate) -> None:
    rule = kind(*given)
    clears = rule.clear
    rule.clear = lambda bids, context: rebated(clears(bids, context), bids)
    assert dsic_proof_of(rule, place) is None


@pytest.mark.parametrize(("kind", "given", "place"), PROVED, ids=lambda part: getattr(part, "__name__", ""))
def test_a_subclass_that_changes_nothing_keeps_the_proof(
    kind: type[Any], given: tuple[Any, ...], place: Substrate
) -> None:
    class Named(kind):
        """The same rule with a name and a question of its own."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.name = "mine"

        def __repr__(self) -> str:
            return self.name

        def asked(self) -> str:
            return self.name

    assert dsic_proof_of(Named(*given), place) == dsic_proof_of(kind(*given), place)


HOOKS: list[tuple[m.Mechanism, str, Callable[..., Any], Substrate]] = [
    (m.SecondPrice(), "charges", lambda self, bids, wins: bids * wins / 2, Items(2)),
    (m.FirstPrice(), "charges", lambda self, bids, wins: bids * wins * (bids < 0.5), Items(2)),
    (m.MenuAuction(PLAIN, MENU), "_clear_alike", lambda self, bids, context: None, PLAIN),
    (m.VickreyUnits(Units(2, 1)), "charges", lambda self, demand, wins: (demand * wins).sum(2), Units(2, 1)),
    (m.AffineMaximizer(PAIR, LIST, torch.zeros(3)), "_choose", lambda self, *given: None, PAIR),
]


@pytest.mark.parametrize(("rule", "hook", "instead", "place"), HOOKS, ids=lambda part: type(part).__name__)
def test_a_changed_hook_voids_the_claims_of_what_calls_it(
    rule: m.Mechanism, hook: str, instead: Callable[..., Any], place: Substrate
) -> None:
    kind = type(rule)
    changed = object.__new__(type("Changed", (kind,), {hook: instead}))
    changed.__dict__.update(rule.__dict__)
    assert dsic_proof_of(changed, place) is None
    assert not behaves_as(changed, kind)
    assert behaves_as(rule, kind)


def test_who_changes_a_rule_may_prove_it_anew() -> None:
    class Fee(m.SecondPrice):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            outcome = super().clear(bids, context)
            return Outcome(outcome.allocation, outcome.payments + 0.1)

        def dsic_proof(self, substrate: Substrate) -> str | None:
            return f"a fee that no bid moves, and {m.SecondPrice().dsic_proof(substrate)}"

    class Waived(Fee):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            outcome = super().clear(bids, context)
            return Outcome(outcome.allocation, outcome.payments - 0.1 * (bids[..., 0] > 0.5))

    v = torch.tensor([[[0.3], [0.2]]])
    assert ex_post_regret(Fee(), Items(2), v).method.startswith("proof: a fee")
    assert ex_post_regret(Waived(), Items(2), v).max == pytest.approx(0.1, abs=1e-3)


def test_every_evaluator_refuses_inherited_claims(generator: torch.Generator) -> None:
    """A first price that is free above .95: breakpoints, item by item, the interim bound and the closed form."""

    class Free(m.FirstPrice):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            outcome = super().clear(bids, context)
            return Outcome(outcome.allocation, outcome.payments * (bids.sum(2) <= 0.95))

    for items in (1, 2):
        found = ex_post_regret(Free(), Items(2, items), torch.rand(4, 2, items, generator=generator), budget=128)
        assert found.upper is None
        assert found.method.startswith("search")
    interim = ex_interim_regret(Free(), Items(2), Uniform(0, 1), draws=64, settings=InterimSettings(types=2, budget=16))
    assert interim.upper is None
    assert closed_form_equilibrium(Free(), Items(2), Uniform(0, 1)) is None
    assert closed_form_equilibrium(m.FirstPrice(), Items(2), Uniform(0, 1)) is not None


def test_promises_are_not_inherited_either() -> None:
    class Smooth(m.Mechanism):
        """Charges nothing and moves with the bid at rate 1."""

        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            return Outcome(bids.clamp_max(1).clone(), torch.zeros_like(bids[..., 0]))

        def own_bid_lipschitz(self, substrate: Substrate, valuations: Tensor, context: Tensor | None) -> Tensor:
            return valuations

        def own_bid_breakpoints(self, bids: Tensor, context: Tensor | None) -> None:
            return None

    class Jumpy(Smooth):
        def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
            return Outcome((bids > 0.5).to(bids), torch.zeros_like(bids[..., 0]))

    v = torch.full((1, 2, 1), 0.4)
    smooth, jumpy = (kind(2, 1, PLAIN) for kind in (Smooth, Jumpy))
    assert "Lipschitz" in ex_post_regret(smooth, PLAIN, v, budget=64, bounds=BoundSettings(budget=64)).method
    assert ex_post_regret(jumpy, PLAIN, v, budget=64).upper is None


def test_a_wrapper_passes_on_no_claim() -> None:
    """`__getattr__` hands everything on; what it hands on was said of another rule and of another substrate."""

    class Wrapper:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            if name.startswith("__") or name == "inner":
                raise AttributeError(name)
            return getattr(self.inner, name)

    class Rebate(Wrapper):
        def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
            return rebated(self.inner(bids, context), bids)

    class Coupled(Wrapper):
        def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
            return allocation * (1 - allocation.flip(1) / 2)

    assert dsic_proof_of(Rebate(m.SecondPrice()), Items(2)) is None
    assert ex_post_regret(Rebate(m.SecondPrice()), Items(2), torch.tensor([[[0.8], [0.3]]])).max > 0.1
    assert is_separable(PLAIN)
    assert not is_separable(Coupled(PLAIN))
    assert not is_finite(Coupled(LOTTERY))
    assert not maximises_exactly(Coupled(PLAIN))
    assert dsic_proof_of(m.VCG(Coupled(PLAIN)), PLAIN) is None


class Warped(QuadraticSubstrate):
    """Exposure is squared; the maximum is still that of the plain one."""

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return super().exposure(allocation, context) ** 2


@dataclass(frozen=True)
class Harmful(QuadraticSubstrate):
    """Another user loss."""

    harm: float = 1.0

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return self.harm * super().user_loss(allocation, context)


class Shared(Items):
    """An item of which the loser gets a half."""

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return allocation + 0.5 * allocation.flip(1)


class Powered(QuadraticSubstrate):
    """A power that `__eq__` does not know of."""

    def __init__(self, power: float) -> None:
        super().__init__(2)
        object.__setattr__(self, "power", power)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        return super().exposure(allocation, context) ** self.power


def test_a_changed_substrate_inherits_no_exactness() -> None:
    for place in (Warped(2), Harmful(2, 0.5), Powered(2.0), Shared(2)):
        assert not maximises_exactly(place)
        assert not is_separable(place)
        assert dsic_proof_of(m.VCG(place), place) is None
        assert dsic_proof_of(m.VirtualWelfareMaximizer(place, Uniform(0, 1)), place) is None
    assert dsic_proof_of(m.MenuAuction(Warped(2), MENU), Warped(2)) is None
    for rule in (m.SecondPrice(), m.PostedPrice(0.3)):
        assert dsic_proof_of(rule, Items(2)) is not None
        assert dsic_proof_of(rule, Shared(2)) is None
    v = torch.tensor([[[0.8], [0.6]]])
    assert ex_post_regret(m.SecondPrice(), Shared(2), v).max == pytest.approx(0.2, abs=1e-3)  # lose: .4, free
    assert not same_substrate(Powered(1.0), Powered(3.0))
    assert same_substrate(QuadraticSubstrate(2, 0.5), PAIR)
    assert closed_form_equilibrium(m.FirstPrice(), Shared(2), Uniform(0, 1)) is None


def test_a_view_is_judged_by_what_it_sells(generator: torch.Generator) -> None:
    surface = fake_surface()
    v = torch.rand(20, 2, 1, generator=generator, dtype=torch.float64)
    for feature in surface.features:
        view, own = View(surface, [feature]), surface.sell(feature)
        assert maximises_exactly(view)
        assert same_substrate(view, View(surface, Offer(feature)))
        claims, paid = (ex_post_regret(m.PayAsBid(place, 0.5), place, v) for place in (view, own))
        assert claims.method == paid.method
        assert torch.equal(claims.lower, paid.lower)


def test_a_view_of_a_list_is_a_list_of_what_it_sells(generator: torch.Generator) -> None:
    replies = Lottery(torch.rand(5, 2, 3, generator=generator), torch.rand(5, generator=generator))
    view = View(replies, ["feature_2"])
    alone = Lottery(replies.exposures[..., 2:], replies.user_losses)
    assert is_finite(view)
    assert maximises_exactly(view)
    assert not is_separable(view)
    assert view == View(replies, ["feature_2"])
    assert view != View(replies, ["feature_1"])
    v = torch.rand(20, 2, 1, generator=generator, dtype=torch.float64)
    for rule in (m.PayAsBid, m.VCG, lambda place, weight: m.VirtualWelfareMaximizer(place, Uniform(0, 1), weight)):
        ours, theirs = (rule(place, 0.5)(v) for place in (view, alone))
        assert torch.equal(ours.allocation, theirs.allocation)
        assert torch.allclose(ours.payments, theirs.payments)
    claims, paid = (ex_post_regret(m.PayAsBid(place, 0.5), place, v) for place in (view, alone))
    assert claims.method == paid.method == "exact: every breakpoint of the own bid"
    assert torch.allclose(claims.lower, paid.lower)
    assert not is_finite(View(Items(2, 3), ["item_1"]))
    assert not hasattr(View(Items(2, 3), ["item_1"]), "num_items")  # nothing else is seen through it
    assert not maximises_exactly(AskedOnce(Warped(2)))
    assert maximises_exactly(AskedOnce(PAIR))


def test_what_claims_are() -> None:
    class Base:
        claim = "of the base"

        def rule(self) -> int:
            return 1

    class Same(Base):
        def more(self) -> int:
            return self.rule()

    class Other(Same):
        def rule(self) -> int:
            return 2

    assert claimed(Same(), "claim") == "of the base"
    assert claimed(Other(), "claim") is None
    assert claimed(Other(), "missing") is None
    assert in_force(Same, "claim")
    assert not in_force(Other, "claim")
    own = Other()
    own.claim = "its own"
    assert claimed(own, "claim") == "its own"
    assert behaves_as(Same(), Base)
    assert not behaves_as(Other(), Base, Same)
    assert not behaves_as(3, Base)
    assert behaves_as(Bundles.llg(), Bundles)
