"""The kit of priors catches one broken on purpose for each check; those that ship pass all of it."""

import copy
import json

import pytest
import torch
from torch import Tensor

from auctionsim.priors import Beta, Empirical, Exponential, Mixture, Prior, TruncatedNormal, Uniform, parse_priors
from auctionsim.priors.protocol import Atoms
from auctionsim.priors.saving import prior_from, prior_record
from auctionsim.records import Record
from auctionsim.testing import BrokenClaimError, check_prior, prior_checks


class Honest(Prior):
    """U[1, 2] by its functions alone, virtual values computed; made otherwise by subclasses."""

    said_mean = 1.5

    def __init__(self) -> None:
        super().__init__(1.0, 2.0, self.said_mean, ())

    def _cdf(self, v: Tensor) -> Tensor:
        return v - 1

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.ones_like(v)

    def _quantile(self, q: Tensor) -> Tensor:
        return 1 + q


class EndsLow(Honest):
    def __init__(self) -> None:
        super().__init__()
        self.high, self.finite_high = 2.0, 3.0


class Doubles(Honest):
    """Answers in float64 whatever it is asked in."""

    def cdf(self, v: Tensor | float) -> Tensor:
        return super().cdf(v).double()


class Falls(Honest):
    """Its cdf falls a little on the upper half."""

    def _cdf(self, v: Tensor) -> Tensor:
        return torch.where(v < 1.5, v - 1, 2 - v)


class Thin(Honest):
    """Its density is half of what it should be."""

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.full_like(v, 0.5)


class Late(Honest):
    """Its quantiles are another distribution's."""

    def _quantile(self, q: Tensor) -> Tensor:
        return 1 + q**2


class Global(Honest):
    """Draws from torch's global generator."""

    def sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype | None = None
    ) -> Tensor:
        return 1 + torch.rand(shape, dtype=dtype)


class Squared(Honest):
    """Draws the maximum of two."""

    def sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype | None = None
    ) -> Tensor:
        return torch.maximum(super().sample(shape, generator, dtype), super().sample(shape, generator, dtype))


class OffMean(Honest):
    said_mean = 1.501


class Regular(Mixture):
    """Says that nothing needs ironing, where much does."""

    @property
    def regular(self) -> bool:
        return True


class Bent(Honest):
    """Its curve is not its virtual value."""

    @property
    def curve(self):
        right = Honest().curve
        return right._replace(phis=right.phis + 0.01)


class Timid(Honest):
    """Virtual values of U[0, 2]: nondecreasing, below v, and not its own."""

    def virtual_value(self, v: Tensor | float) -> Tensor:
        x = torch.as_tensor(v, dtype=torch.float64)
        right = Honest().virtual_value(x)
        phi = torch.where(x < 2, right - 0.3, right)
        return phi.to(v.dtype) if isinstance(v, Tensor) else phi

    curve = Honest.curve


class AlikeAll(Honest):
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class UnevenAtoms(Empirical):
    """Names other chances than its cdf has."""

    @property
    def atoms(self) -> Atoms:
        right = super().atoms
        return right._replace(probabilities=right.probabilities.flip(0))


HALVES = ([Uniform(0, 1), Uniform(2, 3)], [0.5, 0.5])
BROKEN: dict[str, tuple[Prior, str]] = {
    "declared": (EndsLow(), r"finite_high is 3\.0"),
    "elementwise": (Doubles(), r"cdf of torch\.float32 .* is torch\.float64"),
    "cdf": (Falls(), "the cdf falls from"),
    "density": (Thin(), r"the pdf at .* is 0\.50, the slope of the cdf 1\.00"),
    "quantile": (Late(), r"the quantile at .* is .*, too small: the cdf there is"),
    "samples": (Global(), "one seed gives .* and then"),
    "samples_follow_cdf": (Squared(), r"of 20000 samples a share of .* where the cdf is"),
    "mean": (OffMean(), r"the mean is said to be 1\.501; it lies in \[1\.4"),
    "virtual_value": (Regular(*HALVES), "the virtual value falls|nothing is ironed"),
    "curve": (Bent(), "the curve is"),
    "monopoly_price": (Timid(), r"E\[max\(φ, 0\)\] is .* where the best posted price earns 1\.00"),
    "likeness": (AlikeAll(), "is equal to what is another prior"),
}


def checks_of(prior: Prior, dtype: torch.dtype = torch.float64) -> dict:
    return {check.name: check for check in prior_checks(prior, examples=10, dtype=dtype)}


@pytest.mark.parametrize("name", BROKEN)
def test_each_check_catches_what_breaks_it(name: str) -> None:
    prior, sentence = BROKEN[name]
    dtype = torch.float32 if name == "elementwise" else torch.float64
    with pytest.raises(BrokenClaimError, match=f"^{name}: .*{sentence}"):
        checks_of(prior, dtype)[name]()


def test_atoms_that_are_not_the_cdfs_steps_are_caught() -> None:
    with pytest.raises(BrokenClaimError, match=r"^density: the cdf steps by"):
        checks_of(UnevenAtoms([1.0, 2.0], [1.0, 3.0]))["density"]()


def test_a_product_that_is_not_made_of_one_number_each_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """What draws a second time for the first bidder moves everybody's valuations."""
    from auctionsim.priors.product import Product

    honest = Product.sample

    def twice(self: Product, batch: int, generator: torch.Generator, dtype: torch.dtype | None = None) -> Tensor:
        honest(self, batch, generator, dtype)
        return honest(self, batch, generator, dtype)

    monkeypatch.setattr(Product, "sample", twice)
    with pytest.raises(BrokenClaimError, match=r"^independent: the product's samples are not"):
        checks_of(Uniform(0, 1))["independent"]()


def test_there_is_a_broken_prior_for_every_check_and_a_sentence() -> None:
    checks = checks_of(Honest())
    assert {*BROKEN, "independent"} == set(checks)
    assert all(check.sentence.endswith(".") and len(check.sentence) > 20 for check in checks.values())


def test_the_prior_that_is_spoilt_is_sound_before() -> None:
    check_prior(Honest(), examples=6)


def test_a_false_mean_breaks_nothing_else() -> None:
    with pytest.raises(BrokenClaimError) as failure:
        check_prior(OffMean(), examples=4)
    assert [line.partition(":")[0] for line in str(failure.value).splitlines()] == ["mean"]


SHIPPED: list[Prior] = [
    Uniform(0.0, 1.0),
    Uniform(2.0, 3.0),
    Exponential(0.5),
    Beta(2, 5),
    Beta(0.25, 0.25),
    Beta(0.5, 2, 1, 3),
    TruncatedNormal(0.5, 0.25),
    TruncatedNormal(-3, 0.5),
    Mixture([Uniform(0, 1), Uniform(2, 3)]),
    Mixture([Uniform(0, 0.25), Exponential(1.0)], [0.6, 0.4]),
    Empirical([0.25, 0.5, 0.5, 1.0]),
    Empirical([0.0, 0.25, 3.0], [1.0, 2.0, 3.0]),
    Uniform(0, 1e-3),
]


@pytest.mark.parametrize("prior", SHIPPED, ids=repr)
def test_what_ships_passes(prior: Prior) -> None:
    check_prior(prior, examples=3)


def test_float32_is_answered_in_float32() -> None:
    check_prior(Beta(2, 5), examples=3, dtype=torch.float32)


@pytest.mark.parametrize("prior", SHIPPED, ids=repr)
def test_what_ships_is_the_same_after_a_file(prior: Prior) -> None:
    again = prior_from(Record(json.loads(json.dumps(prior_record(prior))), "a prior"))
    assert again == prior
    assert again == copy.deepcopy(prior)
    levels = torch.linspace(0, 0.999, 101, dtype=torch.float64)
    assert torch.equal(again.quantile(levels), prior.quantile(levels))


def test_what_is_written_on_one_line_is_the_prior_that_it_names() -> None:
    text = "uniform:2,3; exponential:0.5; beta:2,5; normal:-3,0.5; 0.5*uniform:0,1+0.5*uniform:2,3; empirical:1,0.5"
    smooth = [Uniform(2, 3), Exponential(0.5), Beta(2, 5), TruncatedNormal(-3, 0.5)]
    assert parse_priors(text) == [*smooth, Mixture(*HALVES), Empirical([0.5, 1])]


def test_a_global_seed_that_is_set_is_caught() -> None:
    class Reseeding(Honest):
        def sample(
            self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype | None = None
        ) -> Tensor:
            torch.manual_seed(0)
            return super().sample(shape, generator, dtype)

    checks = {check.name: check for check in prior_checks(Reseeding(), examples=3)}
    with pytest.raises(BrokenClaimError, match=r"^samples: drawing moves a global generator"):
        checks["samples"]()


class Coin(Prior):
    """1 or 3, as likely: a list of values that somebody wrote without our list's class."""

    def __init__(self) -> None:
        super().__init__(1.0, 3.0, 2.0, ())

    @property
    def atoms(self) -> Atoms:
        return Atoms(torch.tensor([1.0, 3.0], dtype=torch.float64), torch.full((2,), 0.5, dtype=torch.float64))

    def _cdf(self, v: Tensor) -> Tensor:
        return ((v.unsqueeze(-1) >= self.atoms.values) / 2).sum(-1).double()

    def _pdf(self, v: Tensor) -> Tensor:
        return torch.zeros_like(v)

    def _quantile(self, q: Tensor) -> Tensor:
        return torch.where(q <= 0.5, 1.0, 3.0).double()


def test_a_list_of_values_of_ones_own_passes() -> None:
    check_prior(Coin(), examples=3)
