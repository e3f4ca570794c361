"""The stages of a study: which experiment, on which measurement, with which reduced settings, by which command."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import Console

from auctionsim.experiments.running.study_surfaces import PAIR, PHONES, PLAIN, SUBSETS, TRIPLE, StudySettings, Surfaces
from auctionsim.experiments.studies.study import Stage

if TYPE_CHECKING:
    from auctionsim.experiments.running.designs import Designs

SOLD = "slot_probability"
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)


def planned(settings: StudySettings, surfaces: Surfaces, console: Console) -> dict[str, Callable[[], Stage]]:
    """Return what makes each stage, by name, in the order of the page; what a stage reads is read when it is made."""
    here = (settings, surfaces, console)
    pair = "Figs. 2 and 6: two brands, single-brand ablations, and intent"
    priced = "Figs. 4, 5 and 9: menus with replies, user weights, training"
    return {
        f"maps-{PAIR}": partial(_maps, *here, PAIR, pair),
        f"maps-{TRIPLE}": partial(_maps, *here, TRIPLE, "Fig. 3: three brands"),
        "crosstalk": partial(_crosstalk, *here),
        f"compare-{PAIR}": partial(_comparison, *here, PAIR, priced),
        f"compare-{TRIPLE}": partial(_comparison, *here, TRIPLE, "Fig. 5 with three brands"),
        "crosstalk-regret": partial(_crosstalk_regret, *here),
        "neurons-compare": partial(_neurons_compare, settings, console),
        "neurons-frontier": partial(_neurons_frontier, *here),
        "bidders-study": partial(_bidders_study, *here),
        "bidders-corpus": partial(_bidders_corpus, settings, console),
        "more-bidders": partial(_more_bidders, *here),
        "reply-counts": partial(_reply_counts, *here),
        "generalisation": partial(_generalisation, *here),
        "deployed": partial(_deployed, *here),
        "trust-study": partial(_trust, settings, console),
        "losses": partial(_losses, *here),
        "tilts": partial(_tilts, settings, console),
        "tune-grid": partial(_grid, *here),
        "arena-carriers": partial(_arena, settings, console),
        "arena-run": partial(_board, settings, console),
        "market-study": partial(_markets, settings, console),
        "logs-study": partial(_logs, settings, console),
    }


def _maps(study: StudySettings, surfaces: Surfaces, console: Console, name: str, shows: str) -> Stage:
    from auctionsim.experiments.studies.maps import MapSettings, main

    surface = surfaces.surface(name)
    settings = MapSettings(surfaces.place(name), study.folder / f"maps-{name}")
    command = _words("surface", "maps", settings.surface, options={"out": settings.folder})
    go = partial(_with, main, settings, surface, console)
    return Stage(settings.folder.name, shows, settings, {"surface": surface.digest}, command, go)


def _crosstalk(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.crosstalk import KeptBrandSets, report

    measured = [surfaces.subsets(name) for name in SUBSETS]
    settings = KeptBrandSets(tuple(map(surfaces.place, SUBSETS)), study.folder / "crosstalk")
    command = _words("neurons", "crosstalk", options={"measured": ",".join(settings.names), "out": settings.folder})
    inputs = {str(k): one.digest for k, one in enumerate(measured)}
    shows = "Figs. 7 and 8: many pairs and triples in four categories"
    return Stage("crosstalk", shows, settings, inputs, command, partial(_with, report, settings, measured, console))


def _comparison(study: StudySettings, surfaces: Surfaces, console: Console, name: str, shows: str) -> Stage:
    from auctionsim.experiments.studies.compare import CompareSettings, main

    surface = surfaces.surface(name)
    is_pair = name == PAIR
    here = CompareSettings(
        surface=surfaces.place(name),
        feature=SOLD,
        user_weights=WEIGHTS if is_pair else WEIGHTS[::3],
        prior="uniform:0,1",
        folder=study.folder / f"compare-{name}",
        seed=study.seed,
        quick=True,
        replies=is_pair,
        model=study.model,
        device=study.fan_out.device,
        dtype=study.fan_out.dtype,
    )
    options = {"surface": here.surface, "user_weights": _commas(here.user_weights), "seed": here.seed}
    live = {"model": here.model} if is_pair else {}
    command = _words(
        "auction",
        "compare",
        "--quick",
        *([] if is_pair else ["--no-replies"]),
        options={**options, **live, "out": here.folder},
    )
    go = partial(_designing, main, here, surface, study, console)
    return Stage(here.folder.name, shows, here, {"surface": surface.digest}, command, go)


def _crosstalk_regret(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.crosstalk_regret import CrosstalkRegretSettings, main

    lists = {name: surfaces.subsets(name) for name in SUBSETS}
    grids = {name: surfaces.surface(name) for name in (PAIR, TRIPLE)}
    places = ",".join(map(surfaces.place, grids))
    seeds = (study.seed, study.seed + 1)
    settings = CrosstalkRegretSettings(study.folder / "crosstalk-regret", seeds=seeds)
    subsets = [word for name in SUBSETS for word in ("--subsets", surfaces.place(name))]
    options = {"grids": places, "seeds": _commas(seeds)}
    command = _words("auction", "crosstalk-regret", *subsets, options={**options, "out": settings.folder})
    inputs = {name: each.digest for name, each in (*lists.items(), *grids.items())}
    shows = "regret and IR violation of the menu against measured crosstalk, beside the affine maximizer"

    def go(command: str) -> object:
        return main(settings, lists, grids, command, console, _designs(study))

    return Stage("crosstalk-regret", shows, settings, inputs, command, go)


def _neurons_frontier(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.neurons_frontier import NeuronsFrontierSettings, main

    aware, plain = surfaces.surface(PAIR), surfaces.surface(PLAIN)
    folder = study.folder / "neurons-frontier"
    settings = NeuronsFrontierSettings(surfaces.place(PAIR), surfaces.place(PLAIN), folder, seed=study.seed)
    options = {"harm_aware": settings.harm_aware, "plain": settings.plain, "seed": study.seed}
    command = _words("auction", "neurons-frontier", options={**options, "out": folder})
    inputs = {"harm_aware": aware.digest, "plain": plain.digest}
    shows = "harm-aware against plain neurons: revenue over the user's loss"

    def go(command: str) -> object:
        return main(settings, aware, plain, command, console, _designs(study))

    return Stage("neurons-frontier", shows, settings, inputs, command, go)


def _bidders_study(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.bidders_study import BiddersStudySettings, main

    surface = surfaces.surface(PAIR)
    seeds = tuple(range(study.seed, study.seed + 3))
    settings = BiddersStudySettings(surfaces.place(PAIR), study.folder / "bidders-study", seeds=seeds)
    command = _words(
        "bidders", "study", options={"surface": settings.surface, "seeds": _commas(seeds), "out": settings.folder}
    )
    shows = "learned against truthful bidders in every mechanism"
    go = partial(_designing, main, settings, surface, study, console)
    return Stage("bidders-study", shows, settings, {"surface": surface.digest}, command, go)


def _bidders_corpus(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.learners import learners
    from auctionsim.experiments.studies.bidders_corpus import NAME, SHOWS, BiddersCorpusSettings, inputs_of, main

    names = tuple(name for name, one in learners().items() if not one.on_ray)
    seeds = tuple(range(study.seed, study.seed + 3))
    settings = BiddersCorpusSettings(study.folder / NAME, learners=names, seeds=seeds, effort=0.25)
    options = {"learners": ",".join(names), "seeds": _commas(seeds), "effort": settings.effort, "out": settings.folder}
    command = _words("bidders", "corpus", options=options)

    def go(command: str) -> object:
        return main(settings, command, console, study.fan_out)

    return Stage(NAME, SHOWS, settings, inputs_of(settings), command, go)


def _more_bidders(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.more_bidders import MoreBiddersSettings, main

    measured = surfaces.subsets(SUBSETS[0])
    settings = MoreBiddersSettings(surfaces.place(SUBSETS[0]), study.folder / "more-bidders", seed=study.seed)
    command = _words("auction", "more-bidders", settings.measured, options={"seed": study.seed, "out": settings.folder})
    go = partial(_designing, main, settings, measured, study, console)
    return Stage("more-bidders", "2 to 5 bidders", settings, {"measured": measured.digest}, command, go)


def _reply_counts(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.reply_counts import ReplyCountSettings, main

    surface = surfaces.surface(PAIR)
    settings = ReplyCountSettings(surfaces.place(PAIR), study.folder / "reply-counts", seed=study.seed)
    command = _words(
        "auction", "reply-counts", options={"surface": settings.surface, "seed": study.seed, "out": settings.folder}
    )
    go = partial(_designing, main, settings, surface, study, console)
    inputs = {settings.surface: surface.digest}
    return Stage("reply-counts", "deployed regret over samples per cell", settings, inputs, command, go)


def _generalisation(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.generalisation import GeneralisationSettings, main

    chosen = {name: surfaces.surface(name) for name in (PAIR, TRIPLE)}
    places = ",".join(map(surfaces.place, chosen))
    seeds = (study.seed, study.seed + 1)
    settings = GeneralisationSettings(study.folder / "generalisation", seeds=seeds)
    options = {"surfaces": places, "seeds": _commas(seeds)}
    command = _words("auction", "generalisation", options={**options, "out": settings.folder})
    go = partial(_designing, main, settings, chosen, study, console)
    inputs = {name: surface.digest for name, surface in chosen.items()}
    return Stage("generalisation", "generalisation across prompts and contexts", settings, inputs, command, go)


def _losses(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.running.stored_by_name import with_replies
    from auctionsim.experiments.studies.losses import LossesSettings, inputs_of, main

    chosen = {name: surfaces.surface(name) for name in (PAIR, PHONES)}
    places = ",".join(map(surfaces.place, chosen))
    settings = LossesSettings(study.folder / "losses", seed=study.seed)
    options = {"surfaces": places, "seed": settings.seed}
    command = _words("auction", "losses", options={**options, "out": settings.folder})

    def go(command: str) -> object:
        found = {name: with_replies(surfaces.place(name), one) for name, one in chosen.items()}
        return main(settings, found, command, console, _designs(study))

    shows = "named losses of the user: what they follow, and what charging for each changes"
    return Stage("losses", shows, settings, inputs_of(settings, chosen), command, go)


def _deployed(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.studies.deployed import DeployedSettings, main

    chosen = {name: surfaces.surface(name) for name in (PAIR, TRIPLE)}
    settings = DeployedSettings(study.folder / "deployed", tuple(chosen), seed=study.seed)
    places = ",".join(map(surfaces.place, chosen))
    command = _words("auction", "deployed", options={"surfaces": places, "seed": study.seed, "out": settings.folder})
    inputs = {name: surface.digest for name, surface in chosen.items()}
    go = partial(_with, main, settings, chosen, console)
    return Stage("deployed", "designs that mind errors, where they are paid", settings, inputs, command, go)


def _trust(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.studies.trust_study import TrustStudySettings, inputs_of, main

    settings = TrustStudySettings(study.folder / "trust-study", seed=study.seed)
    command = _words("trust", "study", options={"seed": settings.seed, "out": settings.folder})
    shows = "how far scores of replies can be trusted: labels, biases, attacks, the gate"
    return Stage("trust-study", shows, settings, inputs_of(), command, lambda command: main(settings, command, console))


def _tilts(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.running.tilt_settings import TiltsSettings
    from auctionsim.experiments.studies.tilts import NAME, SHOWS, inputs_of, main

    whole = TiltsSettings(study.folder / NAME)
    settings = TiltsSettings(whole.folder, varied=whole.lists[:1], tables=100, seed=study.seed)
    options = {"varied": ",".join(settings.varied), "tables": settings.tables, "seed": settings.seed}
    command = _words("auction", NAME, options={**options, "out": settings.folder})
    return Stage(NAME, SHOWS, settings, inputs_of(settings), command, lambda command: main(settings, command, console))


def _arena(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.running.carrier_sources import packaged_lists
    from auctionsim.experiments.studies.arena_carriers import SHOWS, ArenaCarriersSettings, inputs_of, main

    settings = ArenaCarriersSettings(study.folder / "arena-carriers", packaged_lists())
    command = _words("arena", "carriers", options={"out": settings.folder})

    def go(command: str) -> object:
        return main(settings, command, console, study.fan_out)

    return Stage("arena-carriers", SHOWS, settings, inputs_of(settings), command, go)


def _board(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.running.carrier_sources import packaged_lists
    from auctionsim.experiments.studies.arena_run import NAME, SHOWS, ArenaRunSettings, board_of, inputs_of, main

    settings = ArenaRunSettings(study.folder / NAME, packaged_lists())
    command = _words("arena", "run", options={"out": settings.folder})

    def go(command: str) -> object:
        return main(settings, command, console, study.fan_out)

    return Stage(NAME, SHOWS, settings, inputs_of(board_of(settings)), command, go)


def _markets(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.studies.market_study import NAME, SHOWS, MarketStudySettings, inputs_of, main

    settings = MarketStudySettings(
        study.folder / NAME, markets=4, seed=study.seed, regret_markets=2, sensitivities=(0.001, 0.005)
    )
    options = {
        "markets": 4,
        "seed": study.seed,
        "regret-markets": 2,
        "sensitivities": "0.001,0.005",
        "out": settings.folder,
    }
    command = _words("market", "study", options=options)

    def go(command: str) -> object:
        return main(settings, command, console)

    return Stage(NAME, SHOWS, settings, inputs_of(), command, go)


def _logs(study: StudySettings, console: Console) -> Stage:
    from auctionsim.experiments.studies.logs_study import NAME, SHOWS, LogsStudySettings, inputs_of, main

    fewer = {"experiments": (40, 640), "kappas": (0.0, 2.0), "levels": (0.0, 0.5, 1.0)}
    settings = LogsStudySettings(study.folder / NAME, draws=60, seed=study.seed, **fewer)  # type: ignore[arg-type]
    swept = {name: _commas(values) for name, values in fewer.items()}
    options = {"draws": settings.draws, **swept, "seed": settings.seed, "out": settings.folder}
    command = _words("logs", "study", options=options)
    return Stage(NAME, SHOWS, settings, inputs_of(), command, lambda command: main(settings, command, console))


def _grid(study: StudySettings, surfaces: Surfaces, console: Console) -> Stage:
    from auctionsim.experiments.running.tuning import Cluster
    from auctionsim.experiments.studies.tune_grid import GridSettings, main

    surface = surfaces.surface(PAIR)
    here = GridSettings(
        surface=surfaces.place(PAIR),
        feature=SOLD,
        mechanisms=("optimum", "affine", "menu", "vcg"),
        priors=("uniform:0,1", "beta:2,5"),
        user_weights=(1.0,),
        seeds=tuple(range(study.seed, study.seed + 3)),
        folder=study.folder / "tune-grid",
        quick=True,
        cluster=Cluster(address=study.fan_out.address),
    )
    options = {
        "surface": here.surface,
        "mechanisms": ",".join(here.mechanisms),
        "user_weights": "1",
        "seeds": _commas(here.seeds),
    }
    priors = [word for prior in here.priors for word in ("--prior", prior)]
    command = _words("tune", "grid", "--quick", *priors, options={**options, "out": here.folder})
    shows = "a Ray Tune grid: mechanism × prior × seed"
    go = partial(_with, main, here, surface, console)
    return Stage("tune-grid", shows, here, {"surface": surface.digest}, command, go)


def _neurons_compare(study: StudySettings, console: Console) -> Stage:
    from auctionsim.brands import parse_brands
    from auctionsim.experiments.running.frontier import FrontierSettings
    from auctionsim.experiments.studies.neurons_compare import CompareMethodsSettings, main
    from auctionsim.language_models import load_model
    from auctionsim.neurons.methods import DEFAULT_METHOD
    from auctionsim.prompts import build_prompts

    model = load_model(study.model, study.fan_out.device, study.fan_out.dtype)
    here = CompareMethodsSettings(
        brand_sets=(("running shoes", parse_brands("Nike,Adidas")),),
        methods=("attribution", "random", DEFAULT_METHOD),
        folder=study.folder / "neurons-compare",
        grid=FrontierSettings(limits=(0.01, 0.05)),
        seed=study.seed,
    )
    command = _words(
        "neurons",
        "compare",
        options={
            "brand_sets": "running shoes:Nike,Adidas",
            "methods": ",".join(here.methods),
            "limits": "0.01,0.05",
            "model": study.model,
            "seed": study.seed,
            "out": here.folder,
        },
    )
    shows = "neurons: lift against harm, plain and harm-aware"
    go = partial(_with_model, main, here, model, build_prompts, console)
    return Stage("neurons-compare", shows, here, {"model": model.identity}, command, go)


def _with(main: Callable[..., object], settings: Any, measured: Any, console: Console, command: str) -> object:
    return main(settings, measured, command, console)


def _designing(
    main: Callable[..., object], settings: Any, measured: Any, study: StudySettings, console: Console, command: str
) -> object:
    return main(settings, measured, command, console, _designs(study))


def _designs(study: StudySettings) -> "Designs":
    """Return where the study's stages keep the mechanisms that they design, each once."""
    from auctionsim.experiments.running.designs import Designs

    return Designs(study.folder / "designs")


def _with_model(
    main: Callable[..., object], settings: Any, model: Any, prompts_of: Any, console: Console, command: str
) -> object:
    return main(settings, model, prompts_of, command, console)


def _words(*words: str, options: Mapping[str, object]) -> str:
    """Return a command line: words, then options by name."""
    named = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    return shlex.join(["auctionsim", *words, *named])


def _commas(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
