"""Mechanisms in files: what comes back gives identical outcomes, and what cannot be trusted is refused."""

from pathlib import Path

import pytest
import torch
from finite_list import quarter_list
from shown_list import shown_list

from auctionsim import mechanisms as m
from auctionsim.mechanisms.saving import FORMAT, VERSION
from auctionsim.mechanisms.showings import showings
from auctionsim.priors import Beta, Empirical, Exponential, Mixture, TruncatedNormal, Uniform
from auctionsim.storage import read_stored, write_stored
from auctionsim.substrates import (
    Bundles,
    Lottery,
    MNLPositions,
    Positions,
    Prominence,
    QuadraticSubstrate,
    Randomised,
    ResponseSurface,
    Substrate,
    Units,
)

LIST = quarter_list(3, bidders=2, entries=6, contexts=2)
LOTTERY = Lottery(torch.rand(3, 2, 1, generator=torch.Generator().manual_seed(0)), torch.ones(3))
RANDOMISED = Randomised(LIST, torch.tensor([0.5, 0.1, 0.1, 0.1, 0.1, 0.1]))
SHOWN = Randomised(shown_list(5, bidders=2, strengths=2, contexts=2))
MENU = m.Menu(torch.tensor([[[0.5], [1.0]], [[0.25], [0.75]]]), torch.tensor([[0.1, 0.3], [0.05, 0.25]]))
MANY = [
    [Uniform(0, 1), Mixture([TruncatedNormal(0.3, 0.1, 0, 1), Beta(2, 5)], [0.3, 0.7])],
    [Exponential(0.5), Empirical([0.1, 0.2, 0.7])],
]
ABOVE = [Uniform(0.25, 0.5), Empirical([0.3, 0.4, 0.9], [1.0, 2.0, 0.5])]
MECHANISMS: list[tuple[m.Mechanism, Substrate | None]] = [
    (m.FirstPrice(0.1), None),
    (m.SecondPrice(0.25), None),
    (m.ThirdPrice(), None),
    (m.AllPay(0.5), None),
    (m.PostedPrice(0.3), None),
    (m.PostedPrice(torch.tensor([0.3, 0.6])), None),
    (m.VCG(QuadraticSubstrate(2, 0.5), 0.5), QuadraticSubstrate(2, 0.5)),
    (m.PayAsBid(LIST, 0.25), LIST),
    (m.VirtualWelfareMaximizer(LIST, MANY[0], 0.25, no_suppression=True), LIST),
    (m.VirtualWelfareMaximizer(LIST, MANY[1], 0.25), LIST),
    (m.VirtualWelfareMaximizer(LIST, ABOVE, 0.25), LIST),
    (m.VirtualWelfareMaximizer(LIST, ABOVE, 0.25, below_support="ignored"), LIST),
    (m.MenuAuction(QuadraticSubstrate(2, 0.5), MENU, reference=torch.ones(2, 1)), QuadraticSubstrate(2, 0.5)),
    (m.MenuAuction(QuadraticSubstrate(2), m.MenuNetwork(QuadraticSubstrate(2), entries=3)), QuadraticSubstrate(2)),
    (m.AffineMaximizer(LIST, LIST.finite_range().allocations, torch.randn(3, 6), torch.tensor([1.0, 0.5])), LIST),
    (m.AffineMaximizer(LIST, LIST.finite_range().allocations, torch.randn(6)), LIST),
    (m.GeneralizedSecondPrice(Positions(3, (1.0, 0.5)), 0.1), Positions(3, (1.0, 0.5))),
    (m.GeneralizedFirstPrice(Positions(3, (1.0, 0.5))), Positions(3, (1.0, 0.5))),
    (m.UniformPrice(Units(2, 2)), Units(2, 2)),
    (m.DiscriminatoryPrice(Units(2, 2)), Units(2, 2)),
    (m.VickreyUnits(Units(2, 2)), Units(2, 2)),
    (m.NearestBid(), Bundles.llg()),
    (m.KLTilt(LOTTERY, 0.5, m.Alpha(3.0), 0.1), LOTTERY),
    (m.KLTilt(LOTTERY, 0.5, m.ChiSquared()), LOTTERY),
    (m.KLTilt(RANDOMISED, 0.5, user_weight=0.25), RANDOMISED),
    (m.VCG(RANDOMISED, 0.25), RANDOMISED),
    (m.VCG(MNLPositions(((1.5, 0.8), (1.2, 0.9)))), MNLPositions(((1.5, 0.8), (1.2, 0.9)))),
    (m.ProportionalProminence(Prominence(3, 0.5)), Prominence(3, 0.5)),
    (m.ProportionalProminence(SHOWN, showings(SHOWN, 1)), SHOWN),
    (m.PostedShowings(SHOWN, showings(SHOWN, 1), torch.tensor([0.1, torch.inf])), SHOWN),
    (m.ShownBids(SHOWN, 0.5), SHOWN),
    (m.RegretNet(SHOWN, scale=2.0, user_weight=0.25, seed=3), SHOWN),
    (m.RegretNet(RANDOMISED, m.BidTransformer((3, 6, 2, 1), 8, seed=1)), RANDOMISED),
]


@pytest.mark.parametrize(("mechanism", "substrate"), MECHANISMS, ids=lambda part: type(part).__name__)
def test_a_loaded_mechanism_gives_identical_outcomes(
    mechanism: m.Mechanism, substrate: Substrate | None, tmp_path: Path
) -> None:
    m.save_mechanism(mechanism, tmp_path / "rule.safetensors")
    loaded = m.load_mechanism(tmp_path / "rule.safetensors", substrate)
    assert type(loaded) is type(mechanism)
    shape = (50, mechanism.num_bidders or 4, mechanism.num_features or 2)
    bids = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    for before, after in zip(mechanism(bids), loaded(bids), strict=True):
        assert torch.equal(before, after)


def test_a_trained_mechanism_keeps_its_history(tmp_path: Path) -> None:
    substrate = QuadraticSubstrate(2)
    for rule in (
        m.train_menu(substrate, Uniform(0, 1), 1.0, entries=3, steps=10),
        m.train_affine_maximizer(substrate, Uniform(0, 1), 1.0, entries=5, steps=10),
    ):
        m.save_mechanism(rule, tmp_path / "rule")
        loaded = m.load_mechanism(tmp_path / "rule", substrate)
        assert isinstance(loaded, m.MenuAuction | m.AffineMaximizer)
        assert loaded.history == rule.history


def test_untrustworthy_files_are_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "rule"
    substrate = QuadraticSubstrate(2, 0.5)
    m.save_mechanism(m.MenuAuction(substrate, MENU), path)
    whole = path.read_bytes()
    broken = bytearray(whole)
    broken[-3] ^= 1
    for content, message in [
        (whole[: len(whole) // 2], "is (truncated|damaged)"),
        (bytes(broken), "is damaged"),
        (b"", "truncated"),
        (b"hello, this is no mechanism at all", "truncated|not written by auctionsim"),
    ]:
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message) as caught:
            m.load_mechanism(path, substrate)
        assert "\n" not in str(caught.value)
        assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        m.load_mechanism(tmp_path / "none", substrate)


def test_another_substrate_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rule"
    m.save_mechanism(m.MenuAuction(QuadraticSubstrate(2, 0.5), MENU), path)
    for other, message in [
        (QuadraticSubstrate(2, 0.25), "gives another"),
        (QuadraticSubstrate(3), "does not fit"),
        (LIST, "does not fit|another substrate"),
        (None, "pass the substrate"),
    ]:
        with pytest.raises(ValueError, match=message):
            m.load_mechanism(path, other)
    surface = ResponseSurface.packaged("running-shoes-2@1")
    m.save_mechanism(m.VCG(surface.sell("hits")), path)
    with pytest.raises(ValueError, match=r"another substrate \(features 'hits', not 'slot_probability'\)"):
        m.load_mechanism(path, surface.sell("slot_probability"))


def test_what_has_no_file_form_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    written = m.MenuAuction(QuadraticSubstrate(2), lambda bids, context: MENU)

    class Own(m.SecondPrice):
        """Somebody's own rule."""

    Own.__module__ = "elsewhere"
    for rule in (written, Own()):
        with pytest.raises(TypeError, match="no file form"):
            m.save_mechanism(rule, tmp_path / "rule")
    assert not list(tmp_path.iterdir())


def test_the_file_says_what_a_bid_below_the_support_gets(tmp_path: Path) -> None:
    """A file from before the two were told apart meant that the ignored keep theirs."""
    rules = [m.VirtualWelfareMaximizer(LIST, ABOVE, 0.25, below_support=word) for word in ("threat", "ignored")]
    for rule in rules:
        m.save_mechanism(rule, tmp_path / rule.below_support)
        assert m.load_mechanism(tmp_path / rule.below_support, LIST) == rule
    stored = read_stored(tmp_path / "ignored", FORMAT, VERSION)
    del stored.record["settings"]["below_support"]
    write_stored(tmp_path / "old", stored, FORMAT, VERSION)
    assert m.load_mechanism(tmp_path / "old", LIST) == rules[1]


def test_priors_of_ones_own_have_no_file_form(tmp_path: Path) -> None:
    own = type("Uniform", (Uniform,), {"__module__": "elsewhere"})(0.0, 1.0)
    for prior in (own, Mixture([Uniform(0, 1), own])):
        with pytest.raises(TypeError, match="a prior of the kind Uniform has no file form"):
            m.save_mechanism(m.VirtualWelfareMaximizer(LIST, prior), tmp_path / "rule")
    assert not list(tmp_path.iterdir())
