"""Designs that are kept: learned ones once, under all that they depend on; closed forms anew; names refused."""

from pathlib import Path

import pytest
import torch
from measured_fakes import fake_surface
from tiny_designs import TINY

from auctionsim.experiments.running.designs import COMPARED, Designs, scored
from auctionsim.mechanisms.table import Problem
from auctionsim.priors import Beta, Uniform
from auctionsim.scoring import ScoringSettings, case_of
from auctionsim.substrates import Items

PROBLEM = Problem(fake_surface(2).sell("slot_probability"), Uniform(0, 1), 1.0, seed=0, quick=True)


def test_a_learned_design_is_made_once_and_read_with_its_seconds(tmp_path: Path) -> None:
    designs = TINY.kept_in(tmp_path)
    made, read = (designs.timed("affine", PROBLEM) for _ in range(2))
    assert made.seconds == read.seconds > 0
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    bids = torch.rand(32, 2, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fresh = TINY.of("affine", PROBLEM)
    for one in (read.mechanism, fresh):
        for here, there in zip(made.mechanism(bids), one(bids), strict=True):
            assert torch.equal(here, there)
    assert made.mechanism.history == read.mechanism.history == fresh.history
    assert len(made.mechanism.history) > 0


def test_what_a_design_depends_on_gives_it_a_file_of_its_own(tmp_path: Path) -> None:
    designs, view = TINY.kept_in(tmp_path), PROBLEM.view
    others = [
        PROBLEM._replace(seed=1),
        PROBLEM._replace(quick=False),
        PROBLEM._replace(user_weight=0.5),
        PROBLEM._replace(priors=Beta(2, 5)),
        PROBLEM._replace(view=view.replicate("B")),
        PROBLEM._replace(view=view.sell("hits")),
        PROBLEM._replace(view=fake_surface(2, seed=1).sell("slot_probability")),
    ]
    for number, problem in enumerate([PROBLEM, *others], 1):
        designs.of("affine", problem)
        assert len(list(tmp_path.glob("*.safetensors"))) == number


def test_closed_forms_and_views_that_are_no_measurement_are_not_kept(tmp_path: Path) -> None:
    designs = TINY.kept_in(tmp_path)
    designs.of("vcg", PROBLEM)
    designs.of("affine", PROBLEM._replace(view=Items(2)))
    assert not list(tmp_path.iterdir())


def test_rows_say_which_recipe(tmp_path: Path) -> None:
    names = ("optimum", "affine")
    assert TINY.recipes(names, quick=False) == {}
    recipes = TINY.recipes(names, quick=True)
    assert recipes == {"affine maximizer": "quick"}
    case = case_of(PROBLEM.view, PROBLEM.priors, 1.0, ScoringSettings(16, 2, 2), seed=0)
    rows = dict(scored(TINY.by_label(names, PROBLEM), recipes, case))
    assert [row["recipe"] for row in rows.values()] == ["", "quick"]


def test_names_are_refused_before_anything_is_made() -> None:
    TINY.refuse_unfit(COMPARED, PROBLEM.view)
    for names, says in (
        (("optimum", "lottery"), "mechanism must be one of"),
        (("optimum", "optimum"), "different names"),
        ((), "got none"),
        (("first-price",), "first-price needs a view of the kind Items"),
    ):
        with pytest.raises(ValueError, match=says):
            Designs().refuse_unfit(names, PROBLEM.view)
