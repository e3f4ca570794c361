"""A playground small enough for tests: a made-up surface of two brands on the fake model, and its door."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from measured_fakes import fake_replicates, grid_nodes
from starlette.testclient import TestClient

from auctionsim.brands import parse_brands
from auctionsim.language_models import LanguageModel
from auctionsim.neurons import BrandNeurons
from auctionsim.play import Catalogue, PlayedSurface, Writer, play_app
from auctionsim.prompts import build_prompts
from auctionsim.substrates import Lever, LeverGrid, ResponseSurface
from auctionsim.testing import fake_language_model

PORT = 8765
PAGE = f"http://127.0.0.1:{PORT}"
OWN = {"origin": PAGE, "x-auctionsim": "play"}
BRANDS = parse_brands("or,the|to")  # what the fake model says often
GRIDS = (LeverGrid("num_neurons", (0.0, 8.0, 16.0), 0.0), LeverGrid("amplification", (1.0, 3.0), 1.0))


@cache
def toy_model() -> LanguageModel:
    return fake_language_model(end_gain=2.0)


def toy_surface(folder: Path, longest: int = 12) -> PlayedSurface:
    """Write the neurons beside the place of a surface, and return the surface."""
    model = toy_model()
    ranking = torch.randperm(3 * 48, generator=torch.Generator().manual_seed(0))[:32].view(2, 16)
    scores, attributions = torch.ones(2, 16), torch.ones(2, 3, 48)
    neurons = BrandNeurons(BRANDS, ranking, scores, attributions, "random", model.identity, "0")
    folder.mkdir(parents=True, exist_ok=True)
    neurons.save(folder / "neurons.safetensors")
    prompts = build_prompts("running shoes")
    levers = tuple(Lever(grid.name, grid.values[0], grid.values[-1], grid.null) for grid in GRIDS)
    shape = tuple(len(grid.values) for grid in GRIDS) * 2
    surface = ResponseSurface(
        grids=GRIDS,
        num_bidders=2,
        features=("slot_probability", "hits"),
        contexts=prompts.contexts,
        replicates=fake_replicates(grid_nodes(GRIDS, 2), shape, levers),
        provenance={
            "brands": [brand.written for brand in BRANDS],
            "category": "running shoes",
            "model": model.identity,
            "neurons": neurons.digest,
            "prompts": prompts.digest,
            "settings": {"max_new_tokens": longest, "temperature": 0.7, "mode": "multiply", "positions": "reply"},
        },
    )
    return PlayedSurface("toy", surface, folder / "surface.safetensors")


@contextmanager
def playground(folder: Path, *, writer: Writer | None = None, longest: int = 12) -> Iterator[TestClient]:
    app = play_app(Catalogue([toy_surface(folder, longest)]), writer, PORT)
    with TestClient(app, base_url=PAGE) as client:
        yield client


def toy_writer() -> Writer:
    return Writer(toy_model)


def events(client: TestClient, address: str = "/api/reply") -> list[dict[str, Any]]:
    """All that a reply's stream says."""
    with client.stream("POST", address, headers=OWN) as answer:
        assert answer.status_code == 200, answer.read()
        return [json.loads(line) for line in answer.iter_lines()]
