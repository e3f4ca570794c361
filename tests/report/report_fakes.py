"""Fake findings for tests: every section filled with made-up numbers, some replies hostile."""

import math
from dataclasses import replace

import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.neurons import BrandNeurons
from auctionsim.report import (
    Confirmation,
    Estimate,
    Findings,
    LearningPoint,
    MechanismRow,
    MenuOption,
    ReplyPair,
    TradeOffPoint,
    TrainingPoint,
)
from auctionsim.substrates import LeverGrid, Measurement, Replicate, ResponseSurface

CONTEXTS = ("direct", "comparison", "loose")
FEATURES = ("slot_probability", "mention_probability", "hits")
GRIDS = (LeverGrid("num_neurons", (0.0, 64.0, 256.0), 0.0), LeverGrid("amplification", (1.0, 1.5, 2.5), 1.0))
HOSTILE = 'Buy <script>alert("nike")</script> <b>Nike</b> & <img src=x onerror=alert(1)> nike-adidas.</textarea>'
WORDS = (
    "If you run mostly on roads, look for a light shoe with a soft heel. Nike Pegasus is a sound everyday choice, and "
    "Adidas Boston is close behind. Try both in the afternoon, when feet are largest.\n\nFor trails take something "
    "with a firmer sole."
)


def fake_surface(num_brands: int = 2) -> ResponseSurface:
    """Return a surface with crosstalk on a 3 × 3 grid of levers a brand; its two replicates differ by noise."""
    generator = torch.Generator().manual_seed(num_brands)
    sizes = [len(grid.values) for grid in GRIDS] * num_brands
    steps = torch.cartesian_prod(*(torch.arange(size) for size in sizes)).view(-1, num_brands, len(GRIDS))
    strength = steps.prod(2).double() / steps.prod(2).max()  # a lever at its null, index 0, leaves the brand off
    settings = torch.where(strength.unsqueeze(2) > 0, steps, 0).flatten(1)
    _, group = torch.unique(settings, dim=0, return_inverse=True)

    def measured(mean: Tensor, draws: int) -> Measurement:
        noise = torch.rand(len(CONTEXTS), int(group.max()) + 1, *mean.shape[1:], generator=generator).double()[:, group]
        mean = mean * (0.9 + 0.2 * noise)
        n = torch.full(mean.shape, draws)
        return Measurement(*(part.reshape(len(CONTEXTS), *sizes, *mean.shape[2:]) for part in (mean, mean / 9, n)))

    def replicate() -> Replicate:
        own = strength / (1 + 0.5 * (strength.sum(1, keepdim=True) - strength))
        features = torch.stack([0.02 + 0.7 * own, 0.05 + 0.75 * own, 0.1 + 1.6 * own], 2)
        return Replicate(measured(features, 48), {"kl": measured(0.2 * strength.sum(1) ** 2, 32)}, {})

    return ResponseSurface(
        grids=GRIDS,
        num_bidders=num_brands,
        features=FEATURES,
        contexts=CONTEXTS,
        replicates={"A": replicate(), "B": replicate()},
        provenance={"model": "fake:0123456789abcdef"},
    )


def fake_neurons(brands: tuple[Brand, ...]) -> BrandNeurons:
    """Return neurons of a model of 12 layers × 96, disjoint between brands."""
    generator = torch.Generator().manual_seed(0)
    n, layers, width, ranks = len(brands), 12, 96, 256
    ranking = torch.randperm(layers * width, generator=generator)[: n * ranks].view(n, ranks)
    attributions = torch.randn(n, layers, width, generator=generator) + 0.4
    scores = torch.rand(n, ranks, generator=generator)
    return BrandNeurons(brands, ranking, scores, attributions, "min_over_harm", "fake:0123456789abcdef", "feedbeef")


def bare_findings(brands: tuple[Brand, ...] = (Brand("Nike"), Brand("Adidas"))) -> Findings:
    """Return findings that hold what is required and nothing else."""
    return Findings(
        title="Running shoes: Nike against Adidas",
        command='auctionsim demo --category "running shoes" --brands Nike,Adidas --seed 0',
        category="running shoes",
        brands=tuple(brand.name for brand in brands),
        model="fake-135m:0123456789abcdef",
        settings={"seed": 0, "levers": {"num_neurons": [0, 64, 256]}, "temperature": 0.7},
        versions={"auctionsim": "0.1.0", "torch": "2.13.0"},
        commit=None,
        neurons=fake_neurons(brands),
        sold_neurons=256,
        surface=fake_surface(len(brands)),
        sold_feature="slot_probability",
        user_weight=1.0,
    )


def full_findings() -> Findings:
    """Return findings with every section filled."""
    return replace(
        bare_findings(),
        commit="0123abc",
        replies=(
            ReplyPair("Nike", "Which running shoes should I buy?", 64.0, 1.5, "Try several pairs.", WORDS),
            ReplyPair(
                "Adidas", "Which running shoes should I buy?", 256.0, 2.5, WORDS, WORDS.replace("Nike", "ADIDAS")
            ),
            ReplyPair("Nike", "Compare <i>two</i> shoes & say why.", 64.0, 2.5, HOSTILE, HOSTILE),
        ),
        confirmations=(
            Confirmation(
                "Nike",
                64.0,
                1.5,
                Estimate(0.124, 0.031, 64),
                Estimate(0.871, 0.094, 64),
                Estimate(0.747, 0.0991, 64),
                Estimate(0.0512, 0.0043, 64),
                0.3,
                True,
            ),
            Confirmation("Adidas", None, None, None, None, None, None, 0.3, False),
        ),
        menu=tuple(
            MenuOption(brand, 64.0 * k, 1.0 + 0.5 * k, 0.08123 * k, 0.2 * k, 0.06 * k, "Which shoes?", reply)
            for brand, reply in (("Nike", WORDS), ("Adidas", HOSTILE))
            for k in (1, 2)
        ),
        mechanisms=tuple(
            _row(name, replicate, size, exact)
            for replicate in ("A", "B")
            for name, size, exact in (
                ("MenuAuction", 0.97, False),
                ("VirtualWelfareMaximizer", 1.0, True),
                ("VCG", 0.4, True),
            )
        ),
        trade_off=tuple(
            TradeOffPoint(
                name, replicate, weight, size * 0.3 / weight, size * 0.1 / weight, size * 0.2 / weight, 0.2 / weight
            )
            for replicate in ("A", "B")
            for name, size in (("MenuAuction", 0.97), ("VirtualWelfareMaximizer", 1.0), ("VCG", 0.4))
            for weight in (0.5, 1.0, 2.0, 4.0)
        ),
        learning=tuple(
            LearningPoint(
                mechanism, k, brand, 0.1 + 0.05 * (1 - math.exp(-k / 20)), 0.5 + 0.3 * sign * math.exp(-k / 15)
            )
            for mechanism in ("FirstPrice", "VirtualWelfareMaximizer")
            for brand, sign in (("Nike", 1), ("Adidas", -1))
            for k in range(60)
        ),
        training=tuple(
            TrainingPoint(10 * k, 0.2 - 0.1 / (k + 1), 0.3 - 0.1 / (k + 1), 0.1, 20.0 + k) for k in range(50)
        ),
        stage_seconds={"neurons": 61.2, "surface": 312.0, "mechanisms": 14.25},
        peak_memory_gib=2.345,
    )


def _row(mechanism: str, replicate: str, size: float, exact: bool) -> MechanismRow:
    regret = Estimate(0.0, None, 4096) if exact else Estimate(0.01234, 0.00056, 4096)
    return MechanismRow(
        mechanism=mechanism,
        replicate=replicate,
        user_weight=1.0,
        revenue=Estimate(0.3 * size, 0.0041, 4096),
        bidder_utility=Estimate(0.11, 0.002, 4096),
        welfare=Estimate(0.52, 0.006, 4096),
        user_loss=Estimate(0.1 * size, 0.0013, 4096),
        objective=Estimate(0.2 * size, 0.003, 4096),
        objective_share=Estimate(size, 0.01, 4096),
        regret=regret,
        regret_max=0.0 if exact else 0.0871,
        regret_is="proved 0" if exact else "lower bound",
        regret_method="proof" if exact else "grid, then gradient",
        ir_violation=Estimate(0.0, None, 4096) if exact else Estimate(0.0031, 0.0002, 4096),
        participation_gain=Estimate(-0.0123, 0.001, 4096),
        objective_ir=None if exact else 0.1876,
        objective_best_response=None if exact else 0.1712,
    )
