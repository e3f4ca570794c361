"""A named loss is charged wherever something is sold, and units come from the loss that is in use."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest
import torch
import typer
from measurement_fakes import fake_model, fake_neurons, fake_prompts
from typer.testing import CliRunner

from auctionsim import envs
from auctionsim.carriers.neurons import Neurons
from auctionsim.cli import app
from auctionsim.cli.options import offered
from auctionsim.envs.settings import setting_named
from auctionsim.experiments.running.bidders import AuctionSource
from auctionsim.experiments.running.preparation import slug
from auctionsim.experiments.running.reply_losses import paired_losses, readings_besides
from auctionsim.experiments.studies.tune_hyperparameters import TuningSettings, auction_of
from auctionsim.mechanisms import VCG, VirtualWelfareMaximizer, load_mechanism, save_mechanism
from auctionsim.priors import Uniform
from auctionsim.substrates import LanguageModelSubstrate, Manner, MeasuredList, Offer, ResponseSurface, View
from auctionsim.substrates.protocol import charged_loss_of

ROOT = Path(__file__).resolve().parents[1]
SURFACE = "running-shoes-2@3"
"""With `length` and `reply_kl` read later."""
CHARGES: list[Any] = ["length", {"kl": 0.3, "length": 1.0}, "kl-0.01*length"]


def live_model() -> View:
    model = fake_model()
    whole = LanguageModelSubstrate(
        model,
        Neurons(fake_neurons(model), num_neurons=24, amplification=3.0),
        fake_prompts(1),
        max_new_tokens=4,
        samples=1,
        manner=Manner(leads=(), readings=("length",)),
    )
    return View(whole, ("slot_probability",))


def places() -> Iterator[Any]:
    for loss in CHARGES:
        yield pytest.param(lambda: ResponseSurface.packaged(SURFACE), loss, id=f"a surface, {loss}")
        yield pytest.param(lambda: MeasuredList.packaged("coffee-3-subsets@2"), loss, id=f"a list, {loss}")
        yield pytest.param(lambda: View(ResponseSurface.packaged(SURFACE), ("hits",)), loss, id=f"a view, {loss}")
    yield pytest.param(live_model, CHARGES[-1], id="a live model")


@pytest.mark.parametrize(("place", "loss"), list(places()))
def test_it_is_charged_and_a_saved_rule_is_its_own(place: Any, loss: Any, tmp_path: Path) -> None:
    whole = place()
    view, offer = whole.sell("slot_probability", loss=loss), Offer(("slot_probability",), loss)
    assert charged_loss_of(view).name == offer.loss_name
    assert "tokens" in charged_loss_of(view).unit
    x = view.null_allocation(2, dtype=torch.float64)
    x[1] = torch.tensor([lever.high for lever in view.levers])
    losses = whole.observe(x).losses
    torch.testing.assert_close(view.user_loss(x), offer.charge(losses))
    assert view.user_loss(x)[0] == 0
    if view.finite:
        rule = VCG(view, 0.01)
        save_mechanism(rule, tmp_path / "rule.safetensors")
        assert isinstance(load_mechanism(tmp_path / "rule.safetensors", view), VCG)
        with pytest.raises(ValueError, match="was saved for the user loss"):
            load_mechanism(tmp_path / "rule.safetensors", whole.sell("slot_probability", loss="kl"))
        v = torch.full((3, view.num_bidders, 1), 0.7, dtype=torch.float64)
        assert bool((rule(v).payments >= -1e-12).all())


def test_single_replies_cost_what_they_lose_beside_the_untouched_one() -> None:
    """As `demo` and `say` print it: a difference of two replies of the same random numbers, or a loss as it stands."""
    live, offer = live_model(), Offer(("hits",), "kl-0.5*length")
    x = live.null_allocation(2, dtype=torch.float64)
    x[1] = torch.tensor([lever.high for lever in live.levers])
    model: Any = live.substrate
    batch = model.replies(model.prompts.prompts[0][0], x, (0, 0), 3)
    kl, length = batch.numbers("kl"), batch.numbers("length")
    expected = kl[3:] - 0.5 * (length[3:] - length[:3])
    torch.testing.assert_close(paired_losses(batch, offer), expected)
    assert readings_besides(offer) == ("length",)
    with pytest.raises(ValueError, match="made of readings that are losses, and hits is a feature"):
        readings_besides(Offer(("hits",), "kl+hits"))


@pytest.mark.parametrize("loss", CHARGES, ids=str)
def test_environments_charge_it(loss: Any) -> None:
    view = ResponseSurface.packaged(SURFACE).sell("slot_probability", loss=loss)
    rule = VirtualWelfareMaximizer(view, Uniform(0, 1), 0.1)
    game = envs.build_game(mechanism=rule)
    assert charged_loss_of(game.substrate) == charged_loss_of(view)
    env = gymnasium.make("auctionsim/NeuronAuction-v0", mechanism=rule)
    env.reset(seed=3)
    for _ in range(3):
        env.step(env.action_space.sample())
    env.close()
    parallel = envs.parallel_env(mechanism=rule)
    parallel.reset(seed=3)
    parallel.step({name: parallel.action_space(name).sample() for name in parallel.agents})


@pytest.mark.parametrize("loss", ["kl", {"kl": 0.25}])
def test_named_environments_charge_it(loss: Any) -> None:
    named = envs.build_game("neuron-auction", loss=loss)
    view = setting_named("neuron-auction").substrate.sell("slot_probability", loss=loss)
    assert named.substrate == view
    bids = torch.tensor([[[0.8], [0.3]]], dtype=torch.float64)
    own = VirtualWelfareMaximizer(view, Uniform(0, 1), 1.0)
    assert torch.equal(named.mechanism(bids).payments, own(bids).payments)
    env = gymnasium.make("auctionsim/NeuronAuction-v0", loss=loss)
    env.reset(seed=3)
    env.step(env.action_space.sample())
    env.close()
    if loss != "kl":
        with pytest.raises(ValueError, match=r"saved for the user loss 'kl'.* charges '0\.25 kl'"):
            envs.build_game("neuron-menu", loss=loss)


def test_a_loss_where_none_is_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="loss is for settings on the packaged surface"):
        setting_named("crosstalk", loss="length")
    with pytest.raises(ValueError, match="loss belongs to a named setting"):
        envs.build_game(mechanism=VCG(ResponseSurface.packaged(SURFACE), 1.0), loss="length")
    with pytest.raises(ValueError, match="the loss must be one of"):
        setting_named("neuron-auction", loss="beauty")


def commands() -> list[tuple[str, list[str]]]:
    """Every command with its options."""
    found = []

    def walk(command: Any, words: list[str]) -> None:
        for name, below in getattr(command, "commands", {}).items():
            walk(below, [*words, name])
        options = [name for one in command.params for name in one.opts]
        found.append((" ".join(words), options))

    walk(typer.main.get_command(app), [])
    return found


def test_every_command_that_sells_a_feature_takes_a_loss() -> None:
    selling = [(words, options) for words, options in commands() if {"--feature", "--features"} & set(options)]
    assert len(selling) > 9
    by_kind = {"auction audience"}  # each kind of users names its own loss
    assert {words for words, options in selling if not {"--loss", "--losses"} & set(options)} == by_kind
    assert {"demo", "say", "surface maps"} <= {words for words, options in commands() if "--loss" in options}


def test_maps_draw_the_loss_that_is_named(tmp_path: Path) -> None:
    words = ["surface", "maps", SURFACE, "--features", "hits", "--out", str(tmp_path)]
    shown = CliRunner().invoke(app, [*words, "--loss", "kl-0.5*length"])
    assert shown.exit_code == 0, shown.output
    text = (tmp_path / "section.md").read_text() if (tmp_path / "section.md").exists() else ""
    record = "".join(path.read_text() for path in tmp_path.glob("*.json"))
    assert "kl-0.5*length" in record or "1 kl - 0.5 length" in text


def test_bidders_learn_under_the_loss_that_is_named(tmp_path: Path) -> None:
    assert charged_loss_of(AuctionSource("neuron-auction", loss="2*kl").game().substrate).name == "2 kl"
    assert (
        charged_loss_of(auction_of(TuningSettings("bidders", tmp_path, setting="neuron-menu")).substrate).name == "kl"
    )
    for setting, loss, message in (
        ("first-price", "kl-1*length", "'first-price' charges its own"),
        ("neuron-auction", "nosuch", "the loss must be one of"),
    ):
        with pytest.raises(ValueError, match=message):
            AuctionSource(setting, loss=loss).game()
        with pytest.raises(ValueError, match=message):
            auction_of(TuningSettings("bidders", tmp_path, setting=setting, loss=loss))
    own = ["bidders", "train", "first-price", "--feature", "hits", "--out", str(tmp_path / "bt")]
    assert "a feature of its own" in str(CliRunner().invoke(app, own).exception)


def test_folders_of_different_losses_have_different_names() -> None:
    losses = ("kl", "quality", "0.5*kl", "5*kl", "-5*kl", "kl-0.01*length", "kl+0.01*length", "1e-5*kl", "1e5*kl")
    folders = [slug("compare", *offered("hits", loss)) for loss in losses]
    assert len(set(folders)) == len(losses)
    assert folders[:3] == ["compare-hits", "compare-hits-quality", "compare-hits-0p5-kl"]
    assert offered("hits", "1*kl") == ("hits",)


def _literals(path: Path) -> Iterator[str]:
    """Yield the texts of a module that are no docstrings."""
    tree = ast.parse(path.read_text())
    free = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in free:
            yield node.value


def test_no_unit_of_a_loss_is_written_into_the_code() -> None:
    """What prints a loss asks it for its unit; readings and what old files mean are where units are declared."""
    own = (
        ROOT / "auctionsim" / "readings",
        ROOT / "auctionsim" / "judges",
        ROOT / "auctionsim" / "substrates" / "quantities.py",
    )
    files = [
        path for folder in ("auctionsim", "experiments", "envs", "agents") for path in (ROOT / folder).rglob("*.py")
    ]
    assert len(files) > 200
    found = [
        f"{path.relative_to(ROOT)}: {text!r:.80}"
        for path in files
        if not any(path == place or place in path.parents for place in own)
        for text in _literals(path)
        if " nat " in f" {text} " or "nats" in text
    ]
    assert found == []
    pages = [path for folder in ("auctionsim", "experiments", "envs") for path in (ROOT / folder).rglob("*.html")]
    assert pages
    assert [path.name for path in pages if "nats" in path.read_text() or "a nat<" in path.read_text()] == []
