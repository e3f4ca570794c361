"""Auctions that tilt the model's own stored replies: what they give and how varied they are, beside the levers."""

from collections.abc import Mapping, Sequence

import numpy as np

from auctionsim.experiments.running.prompt_bootstrap import PromptBootstrap, summary
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.running.tilt_cases import StoredList, prompt_lotteries
from auctionsim.experiments.running.tilt_diversity import (
    LAW,
    SET,
    prompt_texts,
    reference_values,
    settings_diversity,
    tilt_values,
)
from auctionsim.experiments.running.tilt_policies import DIVERGENCES, REVERSE
from auctionsim.experiments.running.tilt_settings import TiltsSettings
from auctionsim.mechanisms import KLTilt

REFERENCE, UNTOUCHED = "reference", "reverse KL, weighted"
"""Rows beside the divergences': no bids; and the reverse KL from the reference that weighs the untouched model more."""


def diversity_rows(settings: TiltsSettings, name: str, found: StoredList) -> list[Row]:
    """Return what auctions over a list's stored replies on A give, and how varied they are; then its settings."""
    generator = np.random.default_rng(settings.seed)
    values: dict[tuple[str, float | None], list[dict[str, float]]] = {}
    levers: list[list[dict[str, float]]] = []
    prompts = prompt_lotteries(found, "A", settings.exposure, settings.loss)
    weighted = prompt_lotteries(found, "A", settings.exposure, settings.loss, settings.untouched)
    for one, other in zip(prompts, weighted, strict=True):
        texts = prompt_texts(one, settings.sets, settings.set_size, generator)
        values.setdefault((REFERENCE, None), []).append(reference_values(one, texts, settings.money))
        for family, divergence in DIVERGENCES.items():
            for beta in settings.betas:
                rule = KLTilt(one.lottery, beta, divergence, settings.user_weight)
                values.setdefault((family, beta), []).append(tilt_values(one, texts, rule, settings.money))
        values.setdefault((UNTOUCHED, None), []).append(reference_values(other, texts, settings.money))
        for beta in settings.betas:
            rule = KLTilt(other.lottery, beta, user_weight=settings.user_weight)
            values.setdefault((UNTOUCHED, beta), []).append(tilt_values(other, texts, rule, settings.money))
        levers.append(settings_diversity(one, texts))
    strata = [f"context {one.asked.context}" for one in prompts]
    bootstrap = PromptBootstrap(strata, settings.resamples, settings.seed)
    arrays = {key: {axis: np.array([one[axis] for one in some]) for axis in some[0]} for key, some in values.items()}
    rows: list[Row] = []
    for (family, setting), axes in arrays.items():
        row: Row = {"table": "diversity", "list": name, "family": family, "beta": setting, "prompts": len(prompts)}
        for axis, numbers in axes.items():
            row |= bootstrap.mean(numbers).columns(axis)
        if family in DIVERGENCES:
            for axis in (*LAW, *SET):
                row |= bootstrap.mean(axes[axis] - arrays[REVERSE, setting][axis]).columns(f"{axis}_over_reverse")
        rows.append(row)
    rows += _equal_reward_rows(settings, name, arrays, bootstrap)
    rows += _equal_exposure_rows(settings, name, arrays, levers, bootstrap)
    return rows + _lever_rows(name, found, levers, bootstrap)


def _equal_reward_rows(
    settings: TiltsSettings,
    name: str,
    arrays: Mapping[tuple[str, float | None], Mapping[str, np.ndarray]],
    bootstrap: PromptBootstrap,
) -> list[Row]:
    """Return each divergence's diversity where its mean reward is half-way from the reference's to the most."""
    means = [axes["reward"].mean() for (family, _), axes in arrays.items() if family in (REFERENCE, *DIVERGENCES)]
    target = (float(means[0]) + float(max(means))) / 2
    curves = {
        family: {
            axis: np.stack(
                [arrays[key][axis] for key in ((REFERENCE, None), *((family, b) for b in settings.betas))], 1
            )
            for axis in ("reward", *LAW)
        }
        for family in DIVERGENCES
    }
    at = {
        family: {axis: bootstrap.at(one["reward"], one[axis], target) for axis in LAW} for family, one in curves.items()
    }
    rows: list[Row] = []
    for family, one in at.items():
        row: Row = {"table": "equal_reward", "list": name, "family": family, "reward": target}
        for axis, own in one.items():
            reverse = at[REVERSE][axis]
            if own is not None and reverse is not None:
                row |= summary(own).columns(axis) | summary(own - reverse).columns(f"{axis}_over_reverse")
        rows.append(row)
    return rows


def _equal_exposure_rows(
    settings: TiltsSettings,
    name: str,
    arrays: Mapping[tuple[str, float | None], Mapping[str, np.ndarray]],
    levers: Sequence[Sequence[Mapping[str, float]]],
    bootstrap: PromptBootstrap,
) -> list[Row]:
    """Return how varied sets are under the setting that exposes most, less the reverse KL's at the same exposure."""
    best = max(range(len(levers[0])), key=lambda k: np.mean([prompt[k]["exposure"] for prompt in levers]))
    target = float(np.mean([prompt[best]["exposure"] for prompt in levers]))
    keys = ((REFERENCE, None), *((REVERSE, beta) for beta in settings.betas))
    curve = {axis: np.stack([arrays[key][axis] for key in keys], 1) for axis in ("exposure", *SET)}
    row: Row = {"table": "equal_exposure", "list": name, "exposure": target}
    for axis in SET:
        tilted = bootstrap.at(curve["exposure"], curve[axis], target)
        if tilted is not None:
            own = bootstrap.resampled(np.array([prompt[best][axis] for prompt in levers]))
            row |= summary(tilted).columns(f"{axis}_of_tilt") | summary(own - tilted).columns(f"{axis}_over_tilt")
    return [row]


def _lever_rows(
    name: str, found: StoredList, levers: Sequence[Sequence[Mapping[str, float]]], bootstrap: PromptBootstrap
) -> list[Row]:
    """Return a row a setting of the levers."""
    rows = []
    brands = [brand.name for brand in found.stored.brands]
    for setting, allocation in enumerate(found.stored.interventions.tolist()):
        moved = [
            f"{brand} {' × '.join(f'{value:.4g}' for value in own)}"
            for brand, own in zip(brands, allocation, strict=True)
            if own != [null for _, null in found.stored.levers]
        ]
        row: Row = {"table": "levers", "list": name, "setting": ", ".join(moved) or "untouched"}
        for axis in levers[0][setting]:
            row |= bootstrap.mean(np.array([prompt[setting][axis] for prompt in levers])).columns(axis)
        rows.append(row)
    return rows
