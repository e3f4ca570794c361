"""`auctionsim bidders`: what was trained is kept, scored and refused in one line where it does not fit."""

import json
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from auctionsim import cli
from auctionsim.agents import SavedBidders, Shading, Truthful, load_strategies
from auctionsim.envs import build_game
from auctionsim.experiments.running.bidders import AuctionSource, source_of
from auctionsim.experiments.tables.bidder_scores import evaluate
from auctionsim.mechanisms import AllPay, FirstPrice
from auctionsim.priors import Uniform
from auctionsim.substrates import Items


def run(*words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["auctionsim", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_bidders_are_trained_kept_and_scored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    words = ("bidders", "train", "first-price", "--out", str(folder), "--iterations", "150", "--seed", "1")
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert "bidders.safetensors" in capsys.readouterr().out.replace("\n", "")
    kept = load_strategies(folder / "bidders.safetensors")
    assert kept.record["learner"] == "equilibrium"
    assert kept.record["auction"]["setting"] == "first-price"
    assert kept.record["curve"][-1][0] == 150
    v = torch.linspace(0, 1, 101).unsqueeze(1)
    assert float((kept.strategies[0](v) - v / 2).abs().mean()) < 0.03
    made = json.loads((folder / "run.json").read_text())
    assert made["command"].startswith("auctionsim bidders train first-price")
    assert made["settings"]["iterations"] == 150
    assert "episodes" not in made["settings"], "PPO's alone"
    assert "torch" in made["versions"]
    curve = pd.read_parquet(folder / "learning.parquet")
    assert list(curve.columns) == ["iteration", "bidder", "utility", "bid_ratio"]
    assert len(curve) == 2 * len(kept.record["curve"])
    last = curve[curve.iteration == 150]
    assert list(last.bid_ratio) == pytest.approx(kept.record["curve"][-1][2])
    assert (folder / "learning.png").read_bytes().startswith(b"\x89PNG")
    numbers = tmp_path / "numbers.json"
    words = ("bidders", "evaluate", str(folder), "--draws", "2048", "--out", str(numbers))
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert "exploitability" in capsys.readouterr().out
    found = json.loads(numbers.read_text())
    assert found["bidders"][0]["from_equilibrium"] < 0.03
    assert [play["name"] for play in found["plays"]] == ["learned", "truth", "equilibrium"]
    words = ("bidders", "evaluate", str(folder), "--draws", "2048", "--out", str(folder))
    assert run(*words, monkeypatch=monkeypatch) == 0
    assert json.loads((folder / "evaluation.json").read_text()) == found
    plays = pd.read_parquet(folder / "evaluation_plays.parquet")
    assert list(plays.revenue) == [play["revenue"]["value"] for play in found["plays"]]
    assert run("report", str(folder), monkeypatch=monkeypatch) == 0
    page = (folder / "report.html").read_text()
    for shown in ("learning", "evaluation bidders", "bid ratio", "data:image/png", "auctionsim bidders train"):
        assert shown in page


def test_a_saved_mechanism_is_an_auction_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from auctionsim.data import DEFAULT_SURFACE
    from auctionsim.envs.settings import packaged_surface, shipped_mechanism
    from auctionsim.mechanisms import save_mechanism

    save_mechanism(shipped_mechanism("menu", packaged_surface()), tmp_path / "menu.safetensors")
    where = ("--mechanism", str(tmp_path / "menu.safetensors"), "--surface", DEFAULT_SURFACE)
    learner = ("--learner", "exponential-weights", "--iterations", "5")
    out = ("--out", str(tmp_path / "run"))
    assert run("bidders", "train", *where, *learner, *out, monkeypatch=monkeypatch) == 0
    assert run("bidders", "evaluate", str(tmp_path / "run"), "--draws", "64", monkeypatch=monkeypatch) == 0


def test_bidders_saved_before_say_where_they_learned_by_another_word() -> None:
    place = {"setting": "first-price", "mechanism": None, "surface": None, "feature": "slot_probability"}
    for word in ("auction", "arena"):
        record = {"learner": "equilibrium", "seed": 0, word: place}
        assert source_of(SavedBidders([Truthful()] * 2, record)) == AuctionSource("first-price")
    with pytest.raises(ValueError, match="auction"):
        source_of(SavedBidders([Truthful()] * 2, {"learner": "equilibrium", "seed": 0}))


def test_the_evaluation_is_the_closed_form() -> None:
    """Two U[0, 1] under first price: truth earns 0 and revenue 2/3; halves earn 1/6 each and revenue 1/3."""
    game = build_game("first-price")
    halves = evaluate(game, [Shading(0.5)] * 2, draws=1 << 14)
    for score in halves.bidders:
        assert score.bid_ratio == pytest.approx(0.5)
        assert score.from_truth == pytest.approx((1 / 12) ** 0.5, abs=0.005)
        assert score.from_equilibrium == pytest.approx(0, abs=1e-6)
        assert score.utility.interval.low < 1 / 6 < score.utility.interval.high
        assert score.truthful_utility.value == 0
        assert score.lost_by_bids.value == pytest.approx(-score.utility.value)
    learned, truth, equilibrium = halves.plays
    assert learned == equilibrium._replace(name="learned")
    assert learned.revenue.interval.low < 1 / 3 < learned.revenue.interval.high
    assert truth.revenue.interval.low < 2 / 3 < truth.revenue.interval.high
    assert truth.bidder_utility.value == pytest.approx(0, abs=1e-12)
    assert halves.exploitability.interval.low < 0 < halves.exploitability.interval.high < 0.02
    honest = evaluate(game, [Truthful()] * 2, draws=1 << 12)
    assert honest.exploitability.interval.low < 1 / 12 < honest.exploitability.interval.high
    paying = build_game(mechanism=AllPay(), substrate=Items(3), priors=Uniform(0, 1))
    assert evaluate(paying, [Truthful()] * 3, draws=256).bidders[0].from_equilibrium > 0.2
    with pytest.raises(ValueError, match="1 strategies were given for 2"):
        evaluate(game, [Truthful()])
    with pytest.raises(ValueError, match="single rounds"):
        evaluate(build_game(mechanism=FirstPrice(), substrate=Items(2), budgets=1.0), [Truthful()] * 2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train", "nosuch"), "setting must be one of"),
        (("train", "first-price", "--learner", "guess"), "learner must be one of"),
        (("train",), "either a setting or a mechanism"),
        (("train", "--mechanism", "m.safetensors"), "needs the surface"),
        (("train", "neuron-menu-live"), "learn by ppo"),
        (("train", "first-price", "--against", "somewhere"), "of an --exploiter"),
        (("train", "first-price", "--exploiter", "0"), "PPO's: 'equilibrium' trains all bidders"),
        (("train", "first-price", "--learner", "exponential-weights", "--shared"), "PPO's: 'exponential-weights'"),
        (("study", "--seeds", "0,1,0"), "one twice: '0,1,0'"),
        (("train", "first-price", "--learner", "ppo", "--exploiter", "2"), "exploiter must be a bidder 0 … 1"),
    ],
)
def test_mistakes_end_in_one_line(
    words: tuple[str, ...],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("bidders", *words, "--out", "run", monkeypatch=monkeypatch) == 2
    told = capsys.readouterr().err.strip()
    assert says in told
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing half-written"


def test_a_missing_run_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("bidders", "evaluate", "/no/such/run", monkeypatch=monkeypatch) == 2
    assert "/no/such/run" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # ray's own
def test_ppo_bidders_and_their_exploiter(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from auctionsim.agents.ppo import load_bidders

    small = ("--learner", "ppo", "--iterations", "2", "--rounds", "4", "--episodes", "16", "--steps", "64")
    first, second = tmp_path / "first", tmp_path / "second"
    assert run("bidders", "train", "first-price", *small, "--out", str(first), monkeypatch=monkeypatch) == 0
    strategies = load_strategies(first / "bidders.safetensors").strategies
    v = torch.rand(30, 1, generator=torch.Generator().manual_seed(0))
    for kept, read in zip(strategies, load_bidders(first / "checkpoint", 2), strict=True):
        assert torch.equal(kept(v), read(v))
    words = ("bidders", "train", "first-price", *small, "--exploiter", "1", "--against", str(first))
    assert run(*words, "--out", str(second), monkeypatch=monkeypatch) == 0
    frozen, learned = load_strategies(second / "bidders.safetensors").strategies
    assert torch.equal(frozen(v), strategies[0](v))
    assert not torch.equal(learned(v), strategies[1](v))
    words = ("bidders", "train", "first-price", *small, "--env-runners", "9", "--out", str(tmp_path / "never"))
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        assert run(*words, monkeypatch=monkeypatch) == 2
    finally:
        ray.shutdown()
    assert "9 CPUs are needed, Ray has 2" in capsys.readouterr().err
