"""The table of mechanisms: all of them are in it, each refuses what does not fit, designs come back from files."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from finite_list import quarter_list
from measured_fakes import fake_subsets
from shown_list import shown_list
from torch import Tensor

from auctionsim import mechanisms as m
from auctionsim.mechanisms.codecs import numbers_on_substrate
from auctionsim.mechanisms.posted_price import best_price
from auctionsim.mechanisms.table import Entry, Need, Problem, codec_of, entry, names, register, table, withdraw
from auctionsim.outcome import Outcome
from auctionsim.priors import Beta, Uniform, product
from auctionsim.substrates import (
    Bundles,
    Items,
    Lottery,
    Positions,
    Prominence,
    QuadraticSubstrate,
    Randomised,
    Substrate,
    Units,
)

LOTTERY = Lottery(torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0)), torch.tensor([0.0, 1.0, 2.0]))
PLACES: list[Substrate] = [
    Items(2),
    Items(2, 2),
    Positions(3, (1.0, 0.5)),
    Units(2, 2),
    Bundles.llg(),
    LOTTERY,
    QuadraticSubstrate(2),
    QuadraticSubstrate(2, 0.5),
    quarter_list(3, bidders=2, entries=6, contexts=2),
    Randomised(quarter_list(4, bidders=2, entries=4, contexts=2), torch.tensor([0.4, 0.3, 0.2, 0.1])),
    Prominence(3, 0.5),
    fake_subsets(2).sell("hits"),
    Randomised(shown_list(5, bidders=2, strengths=2, contexts=2)),
]
CLOSED = [name for name in names() if not entry(name).is_learned]


class Flat(m.Mechanism):
    """Leave everything untouched and charge a fee, whatever is bid."""

    def __init__(self, substrate: Substrate, fee: float) -> None:
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.fee = fee

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        del context
        assert self.substrate is not None
        null = self.substrate.null_allocation(len(bids), dtype=bids.dtype)
        return Outcome(null, torch.full_like(bids[..., 0], self.fee))


FLAT = Entry("flat", "flat fee", "A fee.", lambda p: Flat(p.view, 0.25), numbers_on_substrate(Flat, "fee"))


def test_every_kind_of_mechanism_has_a_line_and_a_file_form() -> None:
    public = {getattr(m, name) for name in m.__all__ if isinstance(getattr(m, name), type)}
    kinds = {kind for kind in public if issubclass(kind, m.Mechanism) and kind is not m.Mechanism}
    assert {one.codec.kind for one in table().values() if one.codec} == kinds
    assert len({one.label for one in table().values()}) == len(names())


@pytest.mark.parametrize("name", CLOSED)
def test_a_closed_form_is_designed_saved_and_loaded_wherever_it_fits(name: str, tmp_path: Path) -> None:
    fitting = [place for place in PLACES if entry(name).refusal(place) is None]
    assert fitting
    for place in fitting:
        rule = m.design(name, place, Uniform(0.25, 1), 0.5)
        m.save_mechanism(rule, tmp_path / "rule")
        loaded = m.load_mechanism(tmp_path / "rule", rule.substrate)
        generator = torch.Generator().manual_seed(1)
        bids = torch.rand(16, place.num_bidders, len(place.features), generator=generator)
        for before, after in zip(rule(bids), loaded(bids), strict=True):
            assert torch.equal(before, after)
        assert rule(bids).allocation.shape[1:] == place.null_allocation(1).shape[1:]


def test_every_mechanism_fits_somewhere_and_says_what_it_needs_elsewhere() -> None:
    for one in table().values():
        assert any(one.refusal(place) is None for place in PLACES)
    said = {name: entry(name).refusal(Items(2, 2)) for name in ("optimum", "menu", "kl-tilt", "vcg")}
    assert said["vcg"] is None
    assert "one feature" in str(said["optimum"])
    assert "levers of each bidder's own" in str(said["menu"])
    assert "Lottery" in str(said["kl-tilt"])
    with pytest.raises(ValueError, match="optimum needs a view that sells one feature, got Items"):
        m.design("optimum", Items(2, 2), Uniform(0, 1))
    with pytest.raises(ValueError, match=r"mechanism must be one of .*optimum.*got 'nonsense'"):
        m.design("nonsense", Items(2), Uniform(0, 1))
    with pytest.raises(ValueError, match="user_weight"):
        m.design("vcg", Items(2), Uniform(0, 1), -1.0)


def test_the_two_optima_differ_where_supports_start_above_0() -> None:
    both = Lottery(torch.tensor([[[0.0], [0.0]], [[1.0], [1.0]]]), torch.zeros(2), torch.tensor([1.0, 0.0]))
    bids = torch.full((1, 2, 1), 1.5)  # a reply with both brands or none, U[1, 2]
    threat, ignored = (m.design(name, both, Uniform(1, 2))(bids) for name in ("optimum", "optimum-ignored"))
    assert threat.payments.tolist() == [[1.0, 1.0]]  # what the lowest type would pay
    assert ignored.payments.tolist() == [[0.0, 0.0]]  # either gets it from the other's bid alone


@pytest.mark.deep
@pytest.mark.parametrize(("name", "steps"), [("affine", 60), ("menu", 300), ("menu-network", 100)])
def test_a_quick_recipe_is_shorter(name: str, steps: int) -> None:
    quick, full = (
        entry(name).designed(Problem(QuadraticSubstrate(2), Uniform(0, 1), 1.0, 0, quick=how)) for how in (True, False)
    )
    assert isinstance(quick, m.AffineMaximizer | m.MenuAuction)
    assert isinstance(full, m.AffineMaximizer | m.MenuAuction)
    assert quick.history[-1].step == steps < full.history[-1].step


def test_a_quick_recipe_says_so() -> None:
    one = entry("affine")
    assert one.titled(quick=True) == "affine maximizer, quick recipe"
    assert one.titled(quick=False) == "affine maximizer"
    assert entry("vcg").titled(quick=True) == "VCG"  # a closed form has one recipe


def test_a_posted_price_is_the_one_that_earns_most() -> None:
    assert best_price(product(Uniform(0, 1), 1, 1), 0) == pytest.approx(0.5, abs=1e-3)
    assert best_price(product(Uniform(0, 1), 2, 1), 0) == pytest.approx(3**-0.5, abs=1e-3)
    mixed = product([[Uniform(0, 1), Uniform(0, 4)], [Uniform(0, 1), Beta(2, 5)]], 2, 2)
    assert best_price(mixed, 1) == pytest.approx(2.0, abs=0.01)  # almost all of it from the first bidder's U[0, 4]


def test_a_line_makes_a_mechanism_first_class_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    register(FLAT)
    try:
        place = QuadraticSubstrate(2)
        rule = m.design("flat", place, Uniform(0, 1))
        m.save_mechanism(rule, tmp_path / "flat")
        loaded = m.load_mechanism(tmp_path / "flat", place)
        assert isinstance(loaded, Flat)
        assert loaded.fee == 0.25
        with pytest.raises(ValueError, match="there is a mechanism 'flat'"):
            register(FLAT)
        with pytest.raises(ValueError, match="labelled 'flat fee' already"):
            register(replace(FLAT, name="flat-two"))
        other = type("Flat", (Flat,), {})
        with pytest.raises(ValueError, match="files name mechanisms by their class"):
            register(replace(FLAT, name="flat-two", label="another", codec=numbers_on_substrate(other, "fee")))
        assert "flat-two" not in names()
    finally:
        withdraw("flat")
    assert "flat" not in names()
    assert codec_of("Flat") is None
    with pytest.raises(ValueError, match="is no mechanism that this auctionsim knows: 'Flat'"):
        m.load_mechanism(tmp_path / "flat", QuadraticSubstrate(2))
    with pytest.raises(TypeError, match="Flat has no file form"):
        m.save_mechanism(rule, tmp_path / "again")


@pytest.mark.parametrize("name", ["", "Flat", "flat fee", "flat_fee"])
def test_a_name_is_words_with_hyphens(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case words"):
        register(replace(FLAT, name=name))


def test_a_need_that_is_not_met_names_the_view() -> None:
    picky = replace(FLAT, needs=(Need("seven bidders", lambda view: view.num_bidders == 7),))
    with pytest.raises(ValueError, match="flat needs seven bidders, got Items with the features item"):
        picky.designed(Problem(Items(2), Uniform(0, 1)))
