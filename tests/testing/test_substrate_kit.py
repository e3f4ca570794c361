"""The kit of substrates catches one broken on purpose for each check; those that ship pass all of it."""

from collections.abc import Callable, Mapping

import pytest
import torch
from measured_fakes import fake_list, fake_surface
from sound_substrate import CORNERS, Sound
from torch import Tensor

from auctionsim.checks import checked_allocation, checked_context
from auctionsim.substrates import (
    BaseSubstrate,
    Bundles,
    ChargedLoss,
    FiniteRange,
    Items,
    Lever,
    Lottery,
    MNLPositions,
    Observation,
    Positions,
    Prominence,
    QuadraticSubstrate,
    ResponseSurface,
    Substrate,
    TokenMixtureReplies,
    Units,
    View,
)
from auctionsim.substrates.asked_once import AskedOnce
from auctionsim.testing import BrokenClaimError, check_substrate, substrate_checks

CALLS = {"count": 0}
DRAWS = torch.Generator().manual_seed(0)
ONE_NULL = torch.zeros(1, 2, 1, dtype=torch.float64)


class OutOfRange(Sound):
    """Has a null beyond its lever's range."""

    levers = (Lever("x", 0.5, 1.0, 0.0),)


class CoarseRounding(torch.autograd.Function):
    """The identity with twice its gradient."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return 2 * gradient


class Forgetful(Sound):
    """Loses what it was made with when it is copied: its exposure doubles where there is any."""

    def __deepcopy__(self, memo: dict) -> Sound:
        return Sound(exposure=lambda e, *_: 2 * e)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sound)

    def __hash__(self) -> int:
        return hash(Sound)


class Remembering(Sound):
    """Keeps what it answered by the levers alone, whatever the context was."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[tuple[float, ...], Tensor] = {}

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        answer = super().exposure(allocation, context)
        keys = [tuple(row.flatten().tolist()) for row in allocation]
        rows = [self.known.setdefault(key, row.detach().clone()) for key, row in zip(keys, answer, strict=True)]
        return torch.stack(rows).to(answer) if rows else answer


class TwoLosses(BaseSubstrate):
    """Sells what `Sound` sells, for three brands that are alike, and has a second loss that can be spoilt.

    Args:
        tone: From the allocation (batch, bidder, 1) to the second loss.
        touch: From the allocation to what each bidder gets.
    """

    num_bidders = 3
    features = ("exposure",)
    levers = (Lever("x", 0.0, 1.0, 0.0),)
    losses = ("kl", "tone")
    anonymous = True
    exposure_bounds: tuple[float, float] | None = (0.0, 1.0)

    def __init__(
        self,
        tone: Callable[[Tensor], Tensor] = lambda x: -x.sum((1, 2)) / 4,
        touch: Callable[[Tensor], Tensor] = Tensor.clone,
    ) -> None:
        self.tone, self.touch = tone, touch

    def null_allocation(
        self, batch: int, *, dtype: torch.dtype | None = None, device: torch.device | None = None
    ) -> Tensor:
        return torch.zeros(batch, 3, 1, dtype=dtype, device=device)

    def feasible(self, allocation: Tensor) -> Tensor:
        return ((allocation >= 0) & (allocation <= 1)).flatten(1).all(1)

    def observe(self, allocation: Tensor, context: Tensor | None = None) -> Observation:
        x = checked_allocation(allocation, (3, 1))
        checked_context(context, len(x), ())
        return Observation(self.touch(x), {"kl": x.sum((1, 2)) / 8, "tone": self.tone(x)})


class PlainNull(TwoLosses):
    """Has its null at the wrong end of its lever."""

    levers = (Lever("x", 0.0, 1.0, 1.0),)


class Endless(TwoLosses):
    levers = (Lever("x", 0.0, torch.inf, 0.0),)


class Unbounded(TwoLosses):
    def feasible(self, allocation: Tensor) -> Tensor:
        return allocation.isfinite().flatten(1).all(1)


class Modest(TwoLosses):
    exposure_bounds = (0.0, 0.5)


class Unitless(TwoLosses):
    units = {"exposure": "exposure", "kl": "", "tone": "marks"}  # noqa: RUF012


class ChargesAnother(TwoLosses):
    def charged(self, losses: Mapping[str, Tensor]) -> Tensor:
        return losses["tone"]


class ChargesNone(TwoLosses):
    charged_loss = ChargedLoss("money", "euros")


FAULTS: dict[str, tuple[Substrate, str, str]] = {
    "a second loss that is no number": (
        TwoLosses(lambda x: torch.where(x.sum((1, 2)) > 0, torch.nan, 0.0).to(x)),
        "amounts",
        "the loss tone of the allocation .* is nan",
    ),
    "a second loss of another shape": (TwoLosses(lambda x: x.sum(1)), "shapes", "the loss tone of"),
    "a second loss in another dtype": (TwoLosses(lambda x: x.sum((1, 2)).float()), "shapes", "the loss tone of"),
    "a second loss that looks beside": (
        TwoLosses(lambda x: (x * x.sum()).sum((1, 2))),
        "rows_independent",
        "gives loss tone",
    ),
    "a second loss that draws": (
        TwoLosses(lambda x: x.sum((1, 2)) * torch.rand(1, generator=DRAWS).to(x)),
        "deterministic",
        "gives loss tone .* and then",
    ),
    "bidders alike in a circle only": (
        TwoLosses(touch=lambda x: x * (1 - x.roll(1, 1) / 4)),
        "anonymous",
        "when levers of the first two are swapped",
    ),
    "bounds that are passed": (Modest(), "amounts", r"outside of the claimed \(0\.0, 0\.5\)"),
    "less than nothing where it is feasible": (Unbounded(), "feasible", r"is called feasible, and its exposure is \(-"),
    "a null that its lever does not know": (PlainNull(), "null", r"its levers' nulls are \[1\.0\]"),
    "a lever without an end": (Endless(), "declared", "the range of x must be finite"),
    "a loss without a unit": (Unitless(), "declared", r"needs a unit, .*\['kl'\]"),
    "another loss than it says": (ChargesAnother(), "observe", "and kl, which is said to be charged"),
    "a loss that it does not have": (ChargesNone(), "declared", "the charged loss 'money' is none of"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_concerns_one_loss_or_one_claim_is_caught(name: str) -> None:
    place, check, sentence = FAULTS[name]
    with pytest.raises(BrokenClaimError, match=f"^{check}: .*{sentence}"):
        checks_of(place, examples=20)[check]()


class Handmade:
    """All that a substrate must have and no more; its null takes a count of rows alone."""

    num_bidders = 2
    features = ("clicks",)
    levers = (Lever("on", 0.0, 1.0, 0.0),)

    def null_allocation(self, batch: int) -> Tensor:
        return torch.zeros(batch, 2, 1)

    def feasible(self, allocation: Tensor) -> Tensor:
        return ((allocation >= 0) & (allocation <= 1)).flatten(1).all(1)

    def exposure(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        checked_context(context, len(allocation), ())
        return checked_allocation(allocation, (2, 1)) * (1 - allocation.flip(1) / 2)

    def user_loss(self, allocation: Tensor, context: Tensor | None = None) -> Tensor:
        checked_context(context, len(allocation), ())
        return checked_allocation(allocation, (2, 1)).sum((1, 2)) / 8

    def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
        raise NotImplementedError("no maximum")


@pytest.mark.parametrize(
    "place",
    [Handmade(), View(Handmade(), ["clicks"]), AskedOnce(Handmade()), TwoLosses()],
    ids=["plain", "its view", "with a memory", "two losses"],
)
def test_what_inherits_nothing_passes(place: Substrate) -> None:
    check_substrate(place, examples=5)


def moody(loss: Tensor, *_: object) -> Tensor:
    CALLS["count"] += 1
    return loss * (1 + CALLS["count"] / 8)


def last_of_equals(_: Tensor, weights: Tensor, user_weight: float) -> Tensor:
    listed = Sound().finite_range()
    worth = (weights.double().unsqueeze(1) * listed.exposures).sum((2, 3)) - user_weight * listed.user_losses
    return CORNERS[3 - worth.flip(1).argmax(1)].to(weights)


BROKEN: dict[str, tuple[Substrate, str]] = {
    "declared": (OutOfRange(), r"the null of x must lie in \[0\.5, 1\.0\]"),
    "null": (Sound(null_allocation=lambda x: ONE_NULL.to(x.dtype).expand(len(x), 2, 1)), "its parts share memory"),
    "null_loss": (Sound(user_loss=lambda loss, *_: loss + 0.25), r"the loss at the allocation .* is 0\.25, not 0"),
    "shapes": (Sound(exposure=lambda e, *_: e.float()), r"exposure of torch\.float64 .* is torch\.float32"),
    "amounts": (Sound(exposure=lambda e, *_: e - 0.25), r"the exposure of the allocation \(0\.00, 0\.00\) is \(-0\.25"),
    "rows_independent": (Sound(exposure=lambda e, *_: e + e.mean()), r"alone and beside \d others gives exposure"),
    "deterministic": (Sound(user_loss=moody), r"gives loss .* and then"),
    "own_memory": (Sound(exposure=lambda e, x, context: x), "overwriting the exposure .* memory is shared"),
    "no_global_randomness": (Sound(user_loss=lambda loss, *_: (torch.manual_seed(0), loss)[1]), "user_loss draws from"),
    "asked_before": (Remembering(), "asked first, and after the other contexts"),
    "contexts": (Sound(any_context=None), "exposure takes context 2 of 2"),
    "context_mean": (
        Sound(exposure=lambda e, x, context: e if context is not None else 1 * x),
        "exposure without a context, and the mean over 2 contexts",
    ),
    "refuses_bad_input": (Sound(unchecked=None), "exposure takes a NaN lever instead of refusing it"),
    "feasible": (Sound(feasible=lambda fits, x: fits | x.isnan().flatten(1).any(1)), "allocation of nan is called"),
    "empty_batch": (Sound(exposure=lambda e, *_: e if len(e) else e.new_zeros(0, 2)), r"of no rows has shape \(0, 2\)"),
    "observe": (Sound(observe=lambda both: both._replace(exposure=both.exposure / 2)), "by observe and by exposure"),
    "maximise": (Sound(maximise=lambda x, w, _: x * (w[:, :1] > 1)), r"is worth"),
    "ties": (Sound(maximise=last_of_equals), "not the null|worth no more than the null"),
    "finite_range": (
        Sound(finite_range=lambda listed: FiniteRange(listed[0], listed[1], listed[2] * 2)),
        "loss on the range and asked",
    ),
    "separable": (Sound(exposure=lambda e, x, _: e * (1 - x.flip(1) / 2)), "others' exposure at"),
    "anonymous": (Sound(user_loss=lambda loss, x, _: x[:, 0, 0]), "loss at .* when levers move on by one bidder"),
    "gradients": (Sound(exposure=lambda e, *_: CoarseRounding.apply(e)), "the gradient of exposure"),
    "copies": (Forgetful(), "the exposure .* is another one by a deep copy"),
}


def checks_of(place: Substrate, **options: object) -> dict:
    return {check.name: check for check in substrate_checks(place, **options)}


@pytest.mark.parametrize("name", BROKEN)
def test_each_check_catches_what_breaks_it(name: str) -> None:
    place, sentence = BROKEN[name]
    with pytest.raises(BrokenClaimError, match=f"^{name}: .*{sentence}"):
        checks_of(place, examples=20)[name]()


def test_numbers_of_its_own_that_are_handed_out_are_caught() -> None:
    held = torch.zeros(1, 2, 1, dtype=torch.float64)
    place = Sound(maximise=lambda x, *_: held if len(x) == 1 else x)
    with pytest.raises(BrokenClaimError, match=r"^own_memory: overwriting the maximum"):
        checks_of(place, examples=10)["own_memory"]()
    assert not bool(held.any())


def test_there_is_a_broken_substrate_for_every_check_and_a_sentence() -> None:
    checks = checks_of(Sound())
    assert set(BROKEN) == set(checks)
    for check in checks.values():
        assert check.sentence.endswith(".")
        assert len(check.sentence) > 20


def test_the_substrate_that_is_spoilt_is_sound_before() -> None:
    check_substrate(Sound(), examples=10)


def test_a_fault_breaks_one_check_where_it_is_about_one_thing() -> None:
    """A constant loss is not 0 at the null, and nothing else; a bad gradient is a bad gradient."""
    for name in ("null_loss", "gradients"):
        with pytest.raises(BrokenClaimError) as failure:
            check_substrate(BROKEN[name][0], examples=4)
        assert [line.partition(":")[0] for line in str(failure.value).splitlines()] == [name]


def test_what_raises_is_reported_and_the_rest_goes_on() -> None:
    def raising(*_: object) -> Tensor:
        raise IndexError("out of its list")

    with pytest.raises(BrokenClaimError, match=r"gradients: raises IndexError: out of its list") as failure:
        check_substrate(Sound(exposure=raising), examples=3, skip=("maximise", "ties", "finite_range"))
    assert "shapes: raises" in str(failure.value)


REPLIES = torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0))
UNTOUCHED = torch.tensor([1.0, 0.0, 0.0])
SHIPPED: dict[str, Substrate] = {
    "items": Items(3, 2),
    "one bidder": Items(1, 2),
    "positions": Positions(3, (1.0, 0.5)),
    "positions with one click": MNLPositions(((1.5, 0.8), (1.2, 0.9), (0.6, 0.5))),
    "prominence": Prominence(3, 0.5),
    "replies of mixed tokens": TokenMixtureReplies(
        torch.tensor([[0.75, 0.25], [0.5, 0.5]]), torch.tensor([0.25, 0.75]), "log-linear", length=2
    ),
    "units": Units(2, 2),
    "bundles": Bundles.llg(),
    "lottery": Lottery(REPLIES, torch.tensor([0.0, 1.0, 2.0]), UNTOUCHED),
    "crosstalk": QuadraticSubstrate(2, 0.5),
    "no crosstalk": QuadraticSubstrate(3),
    "a view": View(Items(2, 3), ["item_2", "item_0"]),
    "with a memory": AskedOnce(QuadraticSubstrate(2, 0.5)),
    "surface": ResponseSurface.packaged("running-shoes-2@1").sell("slot_probability"),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_what_ships_passes(name: str) -> None:
    check_substrate(SHIPPED[name], examples=5)


@pytest.mark.parametrize("place", [fake_surface(2), fake_list(4).replicate("B")], ids=["surface", "list"])
def test_what_is_measured_passes(place: Substrate) -> None:
    """The fakes have noise at the null too, which a measurement has not."""
    check_substrate(place, examples=5, skip=("null_loss",))


def test_a_lottery_whose_untouched_reply_costs_something_is_told() -> None:
    with pytest.raises(BrokenClaimError, match=r"^null_loss: the loss .* is 1\.00, not 0$"):
        check_substrate(Lottery(REPLIES, torch.tensor([0.0, 1.0, 2.0])), examples=3)


def test_allocations_that_levers_do_not_reach_can_be_given() -> None:
    """Of a thousand levers that must sum to 1, hardly any drawn ones do: the given ones are drawn from too."""

    class Sums(Sound):
        levers = (Lever("x", 0.0, 1.0, 0.0),)

        def maximise(self, weights: Tensor, user_weight: float, context: Tensor | None = None) -> Tensor:
            raise NotImplementedError("no maximum")

    seen = []
    place = Sums(
        feasible=lambda _, x: (x.sum((1, 2)) == 0) | (x.sum((1, 2)) == 1),
        exposure=lambda e, x, context: (seen.append(x.detach().clone()), e)[1],
        finite_range=lambda listed: FiniteRange(*(part[..., :2] if part.ndim == 2 else part[:2] for part in listed)),
    )
    given = torch.tensor([[[0.3], [0.7]]], dtype=torch.float64)
    substrate_checks(place, allocations=given, examples=20)[4]()
    assert any(bool((x == given).flatten(1).all(1).any()) for x in seen)


def test_skip_names_a_check() -> None:
    with pytest.raises(ValueError, match="skip names no check"):
        substrate_checks(Sound(), skip=("maximize",))
