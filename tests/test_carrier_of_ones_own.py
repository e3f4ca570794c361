"""The carrier of docs/carriers.md is one file: from a folder of its own it is measured, saved, sold, played, reported.

The page's first block is written to the file, and the others run as they stand.
"""

import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from measurement_fakes import SETTINGS
from rich.console import Console

from auctionsim import plugins
from auctionsim.carriers import carrier_names, load_carrier, save_carrier, unregister
from auctionsim.envs import build_game, parallel_env
from auctionsim.experiments.running.run import Run, Section
from auctionsim.measurement import REPLIES_FILE, Measuring
from auctionsim.measurement.stored_replies import StoredReplies
from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer, load_mechanism, save_mechanism
from auctionsim.priors import Uniform, product
from auctionsim.regret import ex_post_regret
from auctionsim.report import write_runs_report
from auctionsim.scoring import case_of, score, tidy
from auctionsim.substrates import MeasuredList
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.manner import Manner
from auctionsim.testing import BrokenClaimError, check_carrier

PAGE = (Path(__file__).parent.parent / "docs" / "carriers.md").read_text(encoding="utf-8")
FILE, *BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the page's blocks name, with its file loaded as `--plugin FILE` loads it."""
    path = tmp_path_factory.mktemp("own") / "postscripts.py"
    path.write_text(FILE, encoding="utf-8")
    assert "postscripts" not in carrier_names()
    plugins.load(path)
    found: dict[str, Any] = {"__name__": "carriers", "torch": torch}
    for number, block in enumerate(BLOCKS, 1):
        exec(compile(block, f"docs/carriers.md, block {number}", "exec"), found)
    yield found
    unregister("postscripts")
    plugins._files.pop(plugins.module_name(path))
    sys.modules.pop(plugins.module_name(path))


def work(names: dict[str, Any]) -> Measuring:
    """The measurement that the page makes, as another process finds it."""
    prompts = names["prompts"].first(8)
    return Measuring(names["folder"], names["model"], names["carrier"], prompts, names["settings"], names["listed"])


def test_it_is_measured_and_gone_on_with(names: dict[str, Any]) -> None:
    measured: MeasuredList = names["measured"]
    assert [lever.name for lever in measured.levers] == ["times"]
    assert "postscripts" in str(measured.provenance["carrier"])
    assert {"kl", "reply_kl"} <= set(measured.losses)
    moved = measured.replicates["A"].losses["reply_kl"].mean
    assert bool((moved[:, 0] == 0).all())  # the null
    assert bool((moved[:, 1:] > 0).all())
    again = work(names)
    assert again.missing == []
    assert again.measured_list() == measured
    plan = json.loads((names["folder"] / "plan.json").read_text())
    (file,) = [file for file in plugins.loaded() if file.path.endswith("postscripts.py")]
    assert plan["carrier"]["plugin"] == file.sha256[:16]  # edited, it is another carrier, and its folder another's


def test_it_is_saved_with_what_it_replied(names: dict[str, Any], tmp_path: Path) -> None:
    carrier, measured = names["carrier"], names["measured"]
    save_carrier(tmp_path / "carrier.safetensors", carrier)
    again = load_carrier(tmp_path / "carrier.safetensors")
    assert (type(again).__name__, again.brands, again.digest) == ("Postscripts", carrier.brands, carrier.digest)
    measured.save(tmp_path / "list.safetensors")
    assert MeasuredList.load(tmp_path / "list.safetensors") == measured
    kept = StoredReplies.load(names["folder"] / REPLIES_FILE)
    assert len(kept.kept.replies) == 4 * 2 * 3 * 2  # settings, replicates, contexts and prompts, one sample


def test_it_is_sold_with_its_regret(names: dict[str, Any], tmp_path: Path) -> None:
    view = names["measured"].sell("mention_probability", loss="reply_kl")
    valuations = product(Uniform(0, 1), 2).sample(8, torch.Generator().manual_seed(0), torch.float64)
    for auction in (VCG(view, user_weight=0.1), VirtualWelfareMaximizer(view, Uniform(0, 1), user_weight=0.1)):
        found = ex_post_regret(auction, view, valuations, budget=16)
        assert float(found.mean) == pytest.approx(0, abs=1e-9)
        assert bool(view.feasible(auction(valuations).allocation).all())
    save_mechanism(auction, tmp_path / "rule.safetensors")
    assert type(load_mechanism(tmp_path / "rule.safetensors", view)) is VirtualWelfareMaximizer


def test_it_is_played(names: dict[str, Any]) -> None:
    view = names["measured"].sell("mention_probability", loss="reply_kl")
    auction = VCG(view, user_weight=0.1)
    game = build_game(mechanism=auction, substrate=view, priors=Uniform(0, 1))
    assert game.num_bidders == 2
    env = parallel_env(mechanism=auction, substrate=view, priors=Uniform(0, 1))
    observations, _ = env.reset(seed=0)
    bids = {agent: env.action_space(agent).high for agent in observations}
    rewards = env.step(bids)[1]
    assert set(rewards) == set(env.possible_agents)


def test_it_is_observed_live(names: dict[str, Any]) -> None:
    live = LanguageModelSubstrate(
        names["model"],
        names["carrier"],
        names["prompts"].first(1),
        samples=1,
        max_new_tokens=3,
        manner=Manner(leads=SETTINGS.leads, readings=("reply_kl",)),
    )
    seen = live.observe(names["listed"][:2])
    assert seen.losses["reply_kl"][0] == 0
    assert seen.losses["reply_kl"][1] > 0


@dataclass(frozen=True)
class Told:
    """Settings of a run that tells of it."""

    carrier: str
    brands: tuple[str, ...]


def test_it_is_reported(names: dict[str, Any], tmp_path: Path) -> None:
    view = names["measured"].sell("mention_probability", loss="reply_kl")
    case = case_of(view, Uniform(0, 1), 0.1, seed=0)
    rows = tidy([score("VCG", VCG(view, user_weight=0.1), case)])
    run = Run(tmp_path / "run", Told("postscripts", ("Nike", "Puma")), {"surface": view.digest})
    section = Section("Postscripts, sold", "A sentence behind the question, at a price.", {})
    run.finish({"scores": rows}, section, command="auctionsim", console=Console(file=io.StringIO()))
    page = write_runs_report([tmp_path / "run"], tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Postscripts, sold" in page
    assert "nats a reply" in page


def test_a_wording_that_names_nobody_is_refused(names: dict[str, Any]) -> None:
    kind, carrier = type(names["carrier"]), names["carrier"]
    with pytest.raises(ValueError, match="must name its brand, Nike"):
        kind(carrier.brands, carrier.category, "Have you heard of it?")

    class Silent(kind):  # type: ignore[misc, valid-type]
        def change(self, allocation: torch.Tensor, context: torch.Tensor | None = None) -> Any:
            kept, self.sentences = self.sentences, ["Have you heard of it?"] * 2
            try:
                return super().change(allocation, context)
            finally:
                self.sentences = kept

    broken = Silent(carrier.brands, carrier.category, carrier.wording)
    with pytest.raises(BrokenClaimError, match=r"names_its_brand: .* add text that names it nowhere"):
        check_carrier(broken, names["model"], examples=1, skip=("copies", "kept"))
