"""The kit of substrates catches one broken on purpose for each check; those that ship pass all of it."""

import pytest
import torch
from measured_fakes import fake_list, fake_surface
from sound_substrate import CORNERS, Sound
from torch import Tensor

from auctionsim.substrates import (
    Bundles,
    FiniteRange,
    Items,
    Lever,
    Lottery,
    Positions,
    QuadraticSubstrate,
    ResponseSurface,
    Substrate,
    Units,
    View,
)
from auctionsim.substrates.asked_once import AskedOnce
from auctionsim.testing import BrokenClaimError, check_substrate, substrate_checks

CALLS = {"count": 0}
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
