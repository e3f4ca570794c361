"""Frontiers: cells are measured where they say, the choice respects its limit, what is reported was not chosen on."""

import math

import pytest
import torch

from auctionsim.brands import parse_brands
from auctionsim.experiments.running.frontier import (
    FrontierCell,
    FrontierChoice,
    FrontierSettings,
    best_under,
    choices,
    frontier_cells,
    settings_of_one,
)
from auctionsim.neurons import identify
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.readings.neutral_kl import neutral_kl
from auctionsim.readings.neutral_text import HELD_OUT_TEXTS, VALIDATION_TEXTS
from auctionsim.readings.slots import SlotScorer
from auctionsim.stems import STEMS as EVERY_STEM
from auctionsim.testing import fake_language_model

BRANDS = parse_brands("Nike,Puma")
CHOSEN = tuple(stem for stem in EVERY_STEM if stem.split == "A")
OTHER = tuple(stem for stem in EVERY_STEM if stem.split == "test")
MODEL = fake_language_model()
PROMPTS = PromptSet(("request",), (build_prompts("running shoes").everything[:2],), CHOSEN)
TESTED = PromptSet(("request",), (build_prompts("running shoes").everything[2:4],), OTHER)
GRID = FrontierSettings((4, 16), (1.5, 3.0, 6.0), (0.01, 0.2))


@pytest.fixture(scope="module")
def neurons() -> BrandNeurons:
    return identify(MODEL, BRANDS, PROMPTS, "attribution", num_neurons=16)


def test_a_cell_is_the_brand_alone_at_its_levers(neurons: BrandNeurons) -> None:
    cells = frontier_cells(MODEL, neurons, 1, GRID, PROMPTS)
    score = SlotScorer(MODEL, BRANDS, PROMPTS.stem_texts)
    for cell in cells:
        levers = torch.tensor([[[0.0, 1.0], [float(cell.num_neurons), cell.amplification]]])
        change = neurons.intervention(levers)
        alone = torch.stack([score(prompt, change)[0, :, 1].mean() for prompt in PROMPTS.everything]).mean()
        assert cell.probability == pytest.approx(float(alone), rel=1e-4)
        kl = neutral_kl(MODEL, change, VALIDATION_TEXTS)[0]
        assert cell.neutral_kl == pytest.approx(float(kl.mean()), rel=1e-3)
        assert cell.kl_error == pytest.approx(float(kl.std() / math.sqrt(len(kl))), rel=1e-2)


def test_amplification_stops_rising_where_no_limit_admits_more(neurons: BrandNeurons) -> None:
    low = FrontierSettings((4, 16), (1.5, 3.0, 6.0), (1e-6,))
    assert [(c.num_neurons, c.amplification) for c in frontier_cells(MODEL, neurons, 0, low, PROMPTS)] == [
        (4, 1.5),
        (16, 1.5),
    ]
    every = FrontierSettings((4, 16), (1.5, 3.0, 6.0), (100.0,))
    assert len(frontier_cells(MODEL, neurons, 0, every, PROMPTS)) == 6


def test_the_best_cell_stays_under_its_limit_by_a_standard_error() -> None:
    cells = [
        FrontierCell(4, 2.0, 0.3, 0.04, 0.005),
        FrontierCell(8, 2.0, 0.6, 0.049, 0.005),
        FrontierCell(8, 3.0, 0.9, 0.2, 0.01),
    ]
    assert best_under(cells, 0.05) == cells[0]
    assert best_under(cells, 0.06) == cells[1]
    assert best_under(cells, 1.0) == cells[2]
    assert best_under(cells, 0.01) is None


def test_choices_are_reported_on_other_prompts_and_texts(neurons: BrandNeurons) -> None:
    cells = [FrontierCell(16, 3.0, 0.5, 0.0, 0.0), FrontierCell(4, 6.0, 0.9, 0.1, 0.0)]
    low, high = choices(MODEL, neurons, 0, cells, GRID, TESTED)
    score = SlotScorer(MODEL, BRANDS, TESTED.stem_texts)
    levers = settings_of_one(neurons, 0, [(0.0, 1.0), (16.0, 3.0), (4.0, 6.0)])
    change = neurons.intervention(levers)
    expected = torch.stack([score(prompt, change)[:, :, 0].mean(1) for prompt in TESTED.everything]).mean(0)
    kl = neutral_kl(MODEL, change, HELD_OUT_TEXTS).mean(1)
    for choice, row in ((low, 1), (high, 2)):
        assert choice.untouched == pytest.approx(float(expected[0]), rel=1e-4)
        assert choice.probability == pytest.approx(float(expected[row]), rel=1e-4)
        assert choice.neutral_kl == pytest.approx(float(kl[row]), rel=1e-3)
    (nothing,) = choices(MODEL, neurons, 0, [], FrontierSettings((4,), (2.0,), (0.01,)), TESTED)
    assert nothing.chosen is None
    assert nothing.lift == 0
    assert nothing.neutral_kl == 0


def test_lift_is_never_negative() -> None:
    assert FrontierChoice(0.1, None, 0.3, 0.2, 0.0).lift == 0.0
    assert FrontierChoice(0.1, None, 0.25, 0.75, 0.0).lift == 0.5


def test_neutral_kl_is_zero_untouched_and_does_not_depend_on_the_batch(neurons: BrandNeurons) -> None:
    settings = [(0.0, 1.0), *((16.0, 1 + k / 10) for k in range(20))]
    change = neurons.intervention(settings_of_one(neurons, 0, settings))
    found = neutral_kl(MODEL, change, VALIDATION_TEXTS[:2])
    assert found.shape == (21, 2)
    assert (found[0] == 0).all()
    assert (found[1:].diff(dim=0) > 0).all()
    for row in (3, 17):
        torch.testing.assert_close(
            found[row : row + 1], neutral_kl(MODEL, change.select(slice(row, row + 1)), VALIDATION_TEXTS[:2])
        )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_neurons": ()}, "num_neurons must be one or more ascending"),
        ({"num_neurons": (4, 4)}, "num_neurons must be one or more ascending"),
        ({"amplification": (1.0, 2.0)}, "amplification must be .* > 1"),
        ({"amplification": (1.5, math.inf)}, "amplification must be .* finite"),
        ({"limits": (0.1, 0.05)}, "limits must be one or more ascending"),
    ],
)
def test_grids_that_make_no_sense_are_refused(settings: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FrontierSettings(**settings)  # type: ignore[arg-type]


def test_more_neurons_than_are_ranked_are_refused(neurons: BrandNeurons) -> None:
    with pytest.raises(ValueError, match="17 neurons asked for, 16 are ranked"):
        frontier_cells(MODEL, neurons, 0, FrontierSettings((17,), (2.0,), (0.1,)), PROMPTS)
