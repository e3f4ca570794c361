"""From levers to factors: continuous, null at the null; and a file that is read whole or refused."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given

from auctionsim.brands import Brand
from auctionsim.neurons import BrandNeurons
from auctionsim.neurons.brand_neurons import package_versions
from auctionsim.storage import Stored, write_stored


def some_neurons(brands: int = 2, ranks: int = 4, layers: int = 3, width: int = 5) -> BrandNeurons:
    generator = torch.Generator().manual_seed(1)
    ranking = torch.randperm(layers * width, generator=generator)[: brands * ranks].view(brands, ranks)
    return BrandNeurons(
        brands=tuple(Brand(f"Brand{k}", (f"Alias{k}",) * (k > 0)) for k in range(brands)),
        ranking=ranking,
        scores=torch.rand(brands, ranks, generator=generator).sort(descending=True).values,
        attributions=torch.randn(brands, layers, width, generator=generator),
        method="attribution",
        model="fake:0123456789abcdef",
        prompts_digest="0123",
        versions=package_versions(),
    )


NEURONS = some_neurons()
COUNTS = st.floats(0, 4, allow_nan=False)
FACTORS = st.floats(0, 6, allow_nan=False)
SETTINGS = st.tuples(st.tuples(COUNTS, FACTORS), st.tuples(COUNTS, FACTORS))


@given(st.lists(SETTINGS, min_size=1, max_size=4))
def test_factors_are_the_formula(rows: list[tuple[tuple[float, float], ...]]) -> None:
    """A slow loop: neuron k of brand i gets 1 + (amplification − 1) clamp(num_neurons − k, 0, 1), the rest 1."""
    found = NEURONS.scales(torch.tensor(rows, dtype=torch.float64))
    expected = torch.ones(len(rows), 15, dtype=torch.float64)
    for r, row in enumerate(rows):
        for brand, (count, amplification) in enumerate(row):
            for rank, neuron in enumerate(NEURONS.ranking[brand].tolist()):
                expected[r, neuron] = 1 + (amplification - 1) * min(max(count - rank, 0.0), 1.0)
    torch.testing.assert_close(found.flatten(1), expected, rtol=1e-12, atol=1e-12)
    assert found.shape == (len(rows), 3, 5)


@given(SETTINGS, st.floats(0, 1e-3), st.integers(0, 3))
def test_factors_are_continuous(setting: tuple[tuple[float, float], ...], step: float, lever: int) -> None:
    """A small step of a lever changes no factor by more than it changes the formula's slope: |Δ| ≤ 5 · step."""
    here = torch.tensor([setting], dtype=torch.float64)
    there = here.clone()
    there.view(-1)[lever] += step
    there[..., 0].clamp_(max=4.0)
    assert (NEURONS.scales(there) - NEURONS.scales(here)).abs().max() <= 5 * step + 1e-12


@given(COUNTS, FACTORS)
def test_the_null_is_exactly_one(count: float, factor: float) -> None:
    null = torch.tensor([[[0.0, factor], [count, 1.0]]], dtype=torch.float32)
    assert (NEURONS.scales(null) == 1).all()


KNOWING = BrandNeurons(
    **{
        **vars(NEURONS),
        "signs": torch.tensor([[1.0, -1.0, 1.0, -1.0], [-1.0, 1.0, 1.0, -1.0]]),
        "references": torch.tensor([[0.5, -2.0, 0.0, -0.25], [1.5, 3.0, -1.0, 0.75]]),
    }
)
MODES = st.sampled_from(["multiply", "add", "clamp"])
ACTIVATIONS = torch.randn(15, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def moved(neurons: BrandNeurons, setting: object, mode: str) -> torch.Tensor:
    change = neurons.intervention(torch.tensor([setting], dtype=torch.float64), mode)
    scaled = change.scale.flatten() * ACTIVATIONS
    return scaled if change.shift is None else scaled + change.shift.flatten()


@given(SETTINGS, MODES)
def test_activations_move_by_the_formulas(setting: tuple[tuple[float, float], ...], mode: str) -> None:
    """A slow loop over brands and ranks."""
    expected = ACTIVATIONS.clone()
    assert KNOWING.signs is not None
    assert KNOWING.references is not None
    for brand, (count, amplification) in enumerate(setting):
        for rank, neuron in enumerate(KNOWING.ranking[brand].tolist()):
            m = min(max(count - rank, 0.0), 1.0)
            a, reference = float(ACTIVATIONS[neuron]), float(KNOWING.references[brand, rank])
            c, t = m * min(amplification - 1, 1), max(amplification - 1, 1)
            expected[neuron] = {
                "multiply": (1 + (amplification - 1) * m) * a,
                "add": a + (amplification - 1) * m * float(KNOWING.signs[brand, rank]) * abs(reference),
                "clamp": (1 - c) * a + c * t * reference,
            }[mode]
    torch.testing.assert_close(moved(KNOWING, setting, mode), expected, rtol=1e-12, atol=1e-12)


@given(SETTINGS, st.floats(0, 1e-3), st.integers(0, 3), MODES)
def test_every_mode_is_continuous(setting: tuple[tuple[float, float], ...], step: float, lever: int, mode: str) -> None:
    """Both levers, across whole counts and across amplification 1 and 2: |Δa'| ≤ 30 · step, 30 a bound on slopes."""
    here = torch.tensor(setting, dtype=torch.float64)
    there = here.clone()
    there.view(-1)[lever] += step
    there[..., 0].clamp_(max=4.0)
    for brands in (KNOWING, SHARING):  # shared neurons, too
        change = moved(brands, there.tolist(), mode) - moved(brands, here.tolist(), mode)
        assert change.abs().max() <= 30 * step + 1e-12


@given(COUNTS, FACTORS, MODES)
def test_every_mode_is_exactly_the_identity_at_the_null(count: float, factor: float, mode: str) -> None:
    for dtype in (torch.float32, torch.float64):
        null = torch.tensor([[[0.0, factor], [count, 1.0]]], dtype=dtype)
        assert KNOWING.intervention(null, mode).null.all()


SHARING = BrandNeurons(**{**vars(KNOWING), "ranking": KNOWING.ranking[:1].repeat(2, 1)})


def test_a_neuron_that_brands_share() -> None:
    """Multiplied and shifted it gets both changes; clamped, a mean of the references and nothing of itself."""
    both = [[4.0, 2.0], [4.0, 2.0]]
    place = int(SHARING.ranking[0, 1])
    a = float(ACTIVATIONS[place])
    assert moved(SHARING, both, "multiply")[place].item() == pytest.approx(3 * a)
    assert moved(SHARING, both, "add")[place].item() == pytest.approx(a - 2.0 + 3.0)
    assert moved(SHARING, both, "clamp")[place].item() == pytest.approx((-2.0 + 3.0) / 2)
    assert (SHARING.intervention(torch.tensor([both]), "clamp").scale >= 0).all()


def test_modes_that_are_unknown_or_lack_numbers_are_refused() -> None:
    levers = torch.tensor([[[1.0, 2.0], [0.0, 1.0]]])
    with pytest.raises(ValueError, match="mode must be one of multiply, add, clamp, got 'freeze'"):
        NEURONS.intervention(levers, "freeze")
    for mode in ("add", "clamp"):
        with pytest.raises(ValueError, match=f"mode '{mode}' needs the neurons' (references|signs), which this record"):
            NEURONS.intervention(levers, mode)
    assert NEURONS.intervention(levers).shift is None


def test_the_last_neuron_is_a_partial_member() -> None:
    factors = NEURONS.scales(torch.tensor([[[2.25, 3.0], [0.0, 1.0]]])).flatten()
    assert factors[NEURONS.ranking[0]].tolist() == [3.0, 3.0, 1.5, 1.0]
    assert (factors[NEURONS.ranking[1]] == 1).all()


@pytest.mark.parametrize(
    "setting", [(4.5, 2.0), (-1.0, 2.0), (1.0, -0.5), (float("nan"), 2.0), (1.0, float("nan")), (1.0, float("inf"))]
)
def test_levers_out_of_range_are_refused(setting: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"num_neurons must lie in \[0, 4\] and amplification be finite and >= 0"):
        NEURONS.scales(torch.tensor([[[0.0, 1.0], setting]]))


@pytest.mark.parametrize("shape", [(1, 3, 2), (1, 1, 2), (1, 2, 3), (2, 2)])
def test_allocations_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"allocation must be a floating-point tensor of shape \(batch, 2, 2\)"):
        NEURONS.scales(torch.ones(shape))


def test_counts_overlaps_and_cosines() -> None:
    for count in (1, 3):
        layers = [neuron // 5 for neuron in NEURONS.ranking[1, :count].tolist()]
        assert NEURONS.layers(1, count).tolist() == [layers.count(k) for k in range(3)]
    assert torch.equal(NEURONS.overlap(4), torch.eye(2))
    shared = BrandNeurons(
        NEURONS.brands, torch.tensor([[0, 1, 2], [2, 3, 0]]), torch.ones(2, 3), NEURONS.attributions, "m", "a:b", "d"
    )
    assert shared.overlap(1)[0, 1] == 0
    assert shared.overlap(3)[0, 1] == pytest.approx(2 / 4)
    one, two = NEURONS.attributions.flatten(1)
    assert NEURONS.cosine()[0, 1].item() == pytest.approx((one @ two / one.norm() / two.norm()).item(), abs=1e-6)
    torch.testing.assert_close(NEURONS.cosine().diag(), torch.ones(2))


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "shoes.neurons"
    NEURONS.save(path)
    again = BrandNeurons.load(path)
    for name in ("ranking", "scores", "attributions"):
        assert torch.equal(getattr(again, name), getattr(NEURONS, name))
    for name in ("brands", "method", "model", "prompts_digest", "versions", "digest"):
        assert getattr(again, name) == getattr(NEURONS, name)
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == path.read_bytes()
    assert some_neurons(ranks=3).digest != NEURONS.digest


def test_signs_and_references_are_kept_and_older_files_still_load(tmp_path: Path) -> None:
    KNOWING.save(tmp_path / "knowing")
    again = BrandNeurons.load(tmp_path / "knowing")
    assert again.signs is not None
    assert again.references is not None
    assert torch.equal(again.signs, KNOWING.signs)
    assert torch.equal(again.references, KNOWING.references)
    assert again.digest == KNOWING.digest != NEURONS.digest
    older = {name: getattr(NEURONS, name) for name in ("ranking", "scores", "attributions")}
    record = {
        "brands": [list(brand.names) for brand in NEURONS.brands],
        **{name: getattr(NEURONS, name) for name in ("method", "model", "prompts_digest", "versions")},
    }
    write_stored(tmp_path / "older", Stored(record, older), "auctionsim brand neurons", 1)
    found = BrandNeurons.load(tmp_path / "older")
    assert (found.signs, found.references) == (None, None)
    assert found.digest == NEURONS.digest  # what was measured on them goes on
    NEURONS.save(tmp_path / "now")
    assert (tmp_path / "now").read_bytes() == (tmp_path / "older").read_bytes()


def test_damage_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "shoes.neurons"
    NEURONS.save(path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"shoes\.neurons: (is|was)"):
            BrandNeurons.load(path)
    for place in range(8, len(whole), 23):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"shoes\.neurons: (is|was|holds)"):
            BrandNeurons.load(path)
    with pytest.raises(FileNotFoundError):
        BrandNeurons.load(tmp_path / "none")
