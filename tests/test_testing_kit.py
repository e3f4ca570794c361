"""The kit catches a mechanism broken on purpose for each check, by name, and lets honest ones pass."""

import re
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given
from torch import Tensor

from auctionsim.mechanisms import VCG, FirstPrice, Mechanism, Menu, MenuAuction, SecondPrice
from auctionsim.outcome import Outcome
from auctionsim.priors import Prior
from auctionsim.regret import BoundSettings, ex_post_regret
from auctionsim.substrates import Items, QuadraticSubstrate, Substrate, is_separable
from auctionsim.testing import (
    BrokenClaimError,
    bids,
    check_mechanism,
    mechanism_checks,
    menus,
    priors,
    substrates,
    valuations,
)

PLACE = Items(2)


class Broken(Mechanism):
    """VCG on two bidders and one item, spoilt by a function of (bids, honest outcome)."""

    def __init__(self, spoil) -> None:
        super().__init__(2, 1, PLACE)
        self.spoil = spoil

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        return self.spoil(bids, VCG(PLACE)(bids))


class Moody:
    """Charges more every time it is called."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        self.calls += 1
        honest = VCG(PLACE)(bids)
        return Outcome(honest.allocation, honest.payments + self.calls)


def overwriting(bids: Tensor, context: Tensor | None = None) -> Outcome:
    outcome = VCG(PLACE)(bids)
    bids += 1
    return outcome


def gullible(bids: Tensor, context: Tensor | None = None) -> Outcome:
    return SecondPrice().clear(bids, context)


def to_the_lowest(bids: Tensor, _: Outcome) -> Outcome:
    low = torch.zeros_like(bids).scatter_(1, bids.argmin(1, keepdim=True), 1.0)
    return Outcome(low, torch.zeros_like(bids[..., 0]))


def to_the_first(bids: Tensor, _: Outcome) -> Outcome:
    x = torch.zeros_like(bids)
    x[:, 0] = 1.0
    return Outcome(x, torch.zeros_like(bids[..., 0]))


BROKEN = {
    "feasible": (Broken(lambda b, o: Outcome(torch.ones_like(b), o.payments)), r"get an infeasible allocation: 1\.00"),
    "dsic": (
        Broken(lambda b, o: Outcome(o.allocation, (b * o.allocation).sum(2))),
        r"bidder \d with valuation 0\.25 gains 0\.125 by bidding 0\.125 when bidder \d bids 0\.00",
    ),
    "individually_rational": (
        Broken(lambda b, o: Outcome(o.allocation, o.payments + 0.25)),
        r"bidder 0 with valuation 0\.00 loses 0\.25 by bidding it: it pays 0\.25 for a value of 0\.00",
    ),
    "opt_out": (
        Broken(lambda b, o: Outcome(o.allocation, b[..., 0] * 2)),
        r"bidder \d with valuation 0\.25 is 0\.\d+ better off bidding 0 than the truth",
    ),
    "monotone_exposure": (
        Broken(to_the_lowest),
        r"bidder \d's exposure goes from 1\.00 to 0\.00 as its bid goes from 0\.00 to 2\.00",
    ),
    "payments_nonnegative": (
        Broken(lambda b, o: Outcome(o.allocation, o.payments - 0.25)),
        r"bids 0\.00, 0\.00 make bidder 0 pay -0\.25",
    ),
    "anonymous": (
        Broken(to_the_first),
        r"when everybody's bid moves on by one bidder, bidder \d pays 0\.00 for [01]\.00 with that bid",
    ),
    "rows_independent": (
        Broken(lambda b, o: Outcome(o.allocation, o.payments + b.mean())),
        r"cleared alone and beside \d other auctions give payments that differ by",
    ),
    "deterministic": (Moody(), r"bids 0\.00, 0\.00 cleared twice give payments that differ by 1\.00"),
    "own_memory": (
        Broken(lambda b, o: Outcome(o.allocation, b[..., 0])),
        r"the payments \(0\.00, 0\.00\) become \(2\.00, 2\.00\) when bids",
    ),
    "refuses_bad_input": (gullible, r"a NaN bid is cleared instead of refused"),
}


def checks_of(mechanism, place: Substrate = PLACE, examples: int = 20):
    claims = {"dsic": True, "individually_rational": True, "anonymous": True, "examples": examples}
    return {check.name: check for check in mechanism_checks(mechanism, place, **claims)}


@pytest.mark.parametrize("name", BROKEN)
def test_each_check_catches_what_breaks_it(name: str) -> None:
    mechanism, sentence = BROKEN[name]
    with pytest.raises(BrokenClaimError, match=f"^{name}: .*{sentence}"):
        checks_of(mechanism)[name]()


def test_there_is_a_broken_mechanism_for_every_check() -> None:
    assert set(BROKEN) == set(checks_of(VCG(PLACE)))


def test_a_broken_claim_breaks_no_other_claim() -> None:
    """A fee for everybody breaks individual rationality and nothing else; a rebate only the sign of payments."""
    with pytest.raises(BrokenClaimError) as failure:
        check_mechanism(BROKEN["individually_rational"][0], PLACE, dsic=True, individually_rational=True, examples=20)
    assert re.findall(r"^(\w+):", str(failure.value), re.MULTILINE) == ["individually_rational"]
    check_mechanism(
        BROKEN["payments_nonnegative"][0],
        PLACE,
        dsic=True,
        individually_rational=True,
        skip=("payments_nonnegative",),
        examples=20,
    )


class NoReserve(SecondPrice):
    """Announces a reserve, charges it, and sells below it: what an ignored reserve does to whoever bids less."""

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        sold = SecondPrice()(bids)
        return Outcome(sold.allocation, torch.maximum(sold.payments, self.reserve * sold.allocation.sum(2)))


def pay_own_bid(bids: Tensor, context: Tensor | None = None) -> Outcome:
    sold = SecondPrice()(bids)
    return Outcome(sold.allocation, (bids * sold.allocation).sum(2))


def permuted_rows(bids: Tensor, context: Tensor | None = None) -> Outcome:
    return Outcome(*(part.roll(1, 0) for part in SecondPrice()(bids)))


def soft_choice(bids: Tensor, context: Tensor | None = None) -> Outcome:
    """The softmax that a network is trained with, left on: shares of the item at the price of a second-price winner."""
    SecondPrice()(bids)
    shares = (10 * bids).softmax(1)
    return Outcome(shares, SecondPrice()(bids).payments.sum(1, keepdim=True) * shares[..., 0])


MUTANTS = {
    "pay-own-bid": (pay_own_bid, "dsic"),
    "ignored reserve": (NoReserve(reserve=0.5), "individually_rational"),
    "permuted rows": (permuted_rows, "rows_independent"),
    "soft choice at test time": (soft_choice, "dsic"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutants_of_second_price_are_caught(mutant: str) -> None:
    mechanism, name = MUTANTS[mutant]
    with pytest.raises(BrokenClaimError, match=f"^{name}: "):
        checks_of(mechanism)[name]()


def test_a_mechanism_that_overwrites_its_bids_is_caught() -> None:
    with pytest.raises(BrokenClaimError, match="overwrites its input"):
        checks_of(overwriting)["deterministic"]()


NOBODY, FREE = torch.zeros(1, 2, 1, dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64)


class Remembering:
    """Gives out the outcome that it gave before, where the bids are the same."""

    def __init__(self) -> None:
        self.known: dict[bytes, Outcome] = {}

    def __call__(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        return self.known.setdefault(bids.numpy().tobytes(), VCG(PLACE)(bids))


SHARING = {
    "the bids, as what is allocated": Broken(lambda b, o: Outcome(b, o.payments)),
    "the bids, one row of them": Broken(lambda b, o: Outcome(o.allocation, b.view(len(b), 2)[:, :2])),
    "its own null": lambda bids, context=None: Outcome(NOBODY, FREE.clone()) if len(bids) == 1 else VCG(PLACE)(bids),
    "its own prices": lambda bids, context=None: Outcome(0 * bids, FREE) if len(bids) == 1 else VCG(PLACE)(bids),
    "one row for all": lambda bids, context=None: Outcome(NOBODY.expand(len(bids), -1, -1), 0 * bids[..., 0]),
    "an outcome given before": Remembering(),
}


@pytest.mark.parametrize("what", SHARING)
def test_shared_memory_is_caught(what: str) -> None:
    with pytest.raises(BrokenClaimError, match=r"^own_memory: .*memory"):
        checks_of(SHARING[what])["own_memory"]()
    assert float(NOBODY.abs().sum() + FREE.abs().sum()) == 0  # what it shares is put back


@pytest.mark.parametrize(
    ("mechanism", "place"),
    [
        (SecondPrice(reserve=0.5), Items(3, 2)),
        (VCG(QuadraticSubstrate(2, 0.5), 1.0), QuadraticSubstrate(2, 0.5)),
        (VCG(Items(1, 3)), Items(1, 3)),
    ],
    ids=["second price", "VCG with crosstalk", "VCG, one bidder"],
)
def test_honest_mechanisms_pass(mechanism, place: Substrate) -> None:
    check_mechanism(mechanism, place, dsic=True, individually_rational=True, anonymous=True, examples=20)


def test_unclaimed_properties_are_not_asked_for() -> None:
    check_mechanism(FirstPrice(), Items(3), dsic=False, individually_rational=True)
    names = {check.name for check in mechanism_checks(FirstPrice(), Items(3), dsic=False, individually_rational=False)}
    assert names == {
        "feasible",
        "payments_nonnegative",
        "rows_independent",
        "deterministic",
        "own_memory",
        "refuses_bad_input",
    }


def test_what_happens_only_between_quarters_is_found() -> None:
    """Half-price levers under crosstalk: on quarters every truthful choice is worth 0 or more, at 3/8 it is not."""
    place = QuadraticSubstrate(2, crosstalk=0.5)
    menu = Menu(torch.tensor([[[1.0], [0.5]], [[1.0], [1.0]]]), torch.tensor([[0.25, 0.125], [0.25, 0.25]]))
    checks = checks_of(MenuAuction(place, menu), place, examples=200)  # few of them hit the interval
    for name, verb in (("dsic", "gains"), ("individually_rational", "loses")):
        with pytest.raises(BrokenClaimError, match=rf"^{name}: bidder \d with valuation 0\.\d+ {verb}"):
            checks[name]()


def test_contexts_are_drawn() -> None:
    """A mechanism that is honest in every context but the last is caught, and the context is named."""

    class TwoContexts(Items):
        contexts = ("direct", "comparison")

    place = TwoContexts(2)

    def spoilt(bids: Tensor, context: Tensor | None = None) -> Outcome:
        honest = VCG(place)(bids, context)
        second = torch.zeros(len(bids)) if context is None else context
        return Outcome(honest.allocation, torch.where(second.view(-1, 1) == 1, bids[..., 0] * 0.5, honest.payments))

    with pytest.raises(BrokenClaimError, match=r"^dsic: .* context 1$"):
        checks_of(spoilt, place)["dsic"]()


def test_skip_names_a_check() -> None:
    assert "dsic" not in {
        c.name for c in mechanism_checks(VCG(PLACE), PLACE, dsic=True, individually_rational=True, skip=("dsic",))
    }
    with pytest.raises(ValueError, match="skip names no check"):
        mechanism_checks(VCG(PLACE), PLACE, dsic=True, individually_rational=True, skip=("dsci",))


@given(valuations())
def test_valuations_lie_on_quarters(v: Tensor) -> None:
    assert v.ndim == 3
    assert max(v.shape) <= 4
    assert torch.equal(v * 4, (v * 4).round())
    assert v.min() >= 0
    assert v.max() <= 1


@given(bids(num_bidders=3, num_features=2, batch=4, high=10.0, dtype=torch.float32))
def test_bids_keep_sizes_scale_and_dtype(b: Tensor) -> None:
    assert b.shape == (4, 3, 2)
    assert b.dtype == torch.float32
    assert b.max() <= 15


@given(substrates(crosstalk=True), substrates(crosstalk=False))
def test_substrates_have_crosstalk_or_not(loud: Substrate, quiet: Substrate) -> None:
    assert not is_separable(loud)
    assert is_separable(quiet)
    for place in (loud, quiet):
        assert place.feasible(place.maximise(torch.ones(2, place.num_bidders, len(place.features)), 1.0)).all()


@given(st.data())
def test_menus_are_menus_of_their_substrate(data: st.DataObject) -> None:
    place = QuadraticSubstrate(3, crosstalk=0.25)
    menu = data.draw(menus(place))
    assert menu.levers.shape[:2] == menu.prices.shape
    outcome = MenuAuction(place, menu)(data.draw(bids(3, 1)))
    assert place.feasible(outcome.allocation).all()
    assert data.draw(menus()).levers.shape[2] == 1


@given(menus(QuadraticSubstrate(2)), valuations(2, 1))
def test_menus_without_crosstalk_are_truthful(menu: Menu, v: Tensor) -> None:
    rule = MenuAuction(QuadraticSubstrate(2), menu)
    found = ex_post_regret(rule, QuadraticSubstrate(2), v, bounds=BoundSettings(use_structure=False), budget=48)
    assert found.max < 1e-12


@given(priors())
def test_priors_are_distributions(prior: Prior) -> None:
    assert 0 <= prior.low <= prior.mean <= prior.high
    assert prior.low <= float(prior.quantile(0.5)) <= prior.high


ROOT = Path(__file__).parent.parent


def test_the_page_about_testing_tells_the_truth(tmp_path: Path) -> None:
    """Its first example fails on first price, and there by dsic and opt_out only; its second one passes."""
    first, kits, reading, carrier, second = re.findall(
        r"```python\n(.*?)```", (ROOT / "docs" / "testing.md").read_text(), re.DOTALL
    )
    (tmp_path / "test_prices.py").write_text(first)
    (tmp_path / "test_kits.py").write_text(kits)
    (tmp_path / "test_reading.py").write_text(reading)
    (tmp_path / "test_carrier.py").write_text(carrier)
    (tmp_path / "test_own.py").write_text(second)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^FAILED \S+::(\S+)", done.stdout, re.MULTILINE))
    assert "test_first_price[dsic]" in failed, done.stdout
    assert failed <= {"test_first_price[dsic]", "test_first_price[opt_out]"}
    sentence = re.search(r"^    (dsic: .*)$", (ROOT / "docs" / "testing.md").read_text(), re.MULTILINE)
    assert sentence
    assert sentence[1] in done.stdout


def test_evaluators_do_not_load_hypothesis(tmp_path: Path) -> None:
    code = "import sys, auctionsim, auctionsim.regret, auctionsim.metrics; print('hypothesis' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stdout + done.stderr


def test_what_is_no_outcome_is_told() -> None:
    def pair(bids: Tensor, context: Tensor | None = None):
        outcome = FirstPrice()(bids, context)
        return outcome.allocation, outcome.payments

    with pytest.raises(BrokenClaimError, match=r"^feasible: .* a mechanism must return an auctionsim\.Outcome"):
        checks_of(pair, Items(2))["feasible"]()
