"""Curves of policies on the same axes: KL spent, win rate, what the proxy promises, what it is truly worth."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from auctionsim.experiments.running.prompt_bootstrap import PromptBootstrap, summary
from auctionsim.experiments.running.run import Row
from auctionsim.experiments.running.tilt_cases import PromptCase
from auctionsim.experiments.running.tilt_policies import DIVERGENCES, REVERSE, PolicyGrid, laws
from auctionsim.mechanisms import Misspecification, ReverseKL, misspecified, win_rate


class NamedTable(NamedTuple):
    """A small table of replies, written down.

    Attributes:
        p: The reference.
        rewards: r, the truth.
        proxies: r̂.
    """

    p: tuple[float, ...]
    rewards: tuple[float, ...]
    proxies: tuple[float, ...]


TABLES = {
    "two outcomes": NamedTable((0.5, 0.5), (1.0, 0.0), (1.0, 0.0)),
    "overrated third reply": NamedTable((0.7, 0.2, 0.1), (0.0, 1.0, 0.0), (0.0, 1.0, 1.2)),
    "rare best reply": NamedTable((1 - math.exp(-8), math.exp(-8)), (0.0, 8.0), (0.1, 8.0)),
}


def table_rows(name: str, table: NamedTable, grid: PolicyGrid) -> list[Row]:
    """Return a row a policy on one table, exact; a tilt's has the terms of what it loses against the true reward's."""
    p, rewards, proxies = (torch.tensor(part, dtype=torch.float64) for part in table)
    measured = _axes(laws(proxies, p, grid), p, rewards, proxies)
    rows = []
    for k, (family, setting) in enumerate(grid.settings()):
        row: Row = {"table": name, "family": family, "setting": setting}
        row |= {axis: float(values[k]) for axis, values in measured.items()}
        if family in DIVERGENCES:
            pair = (rewards.unsqueeze(0), proxies.unsqueeze(0))
            found = misspecified(*pair, setting, p, DIVERGENCES[family])
            terms = ("best_value", "loss", "reward_gap", "proxy_gap", "proxy_gap_bound", "rough_estimate")
            row |= {term: float(getattr(found, term)) for term in terms}
        rows.append(row)
    return rows


def random_table_rows(tables: int, betas: Sequence[float], seed: int) -> list[Row]:
    """Return what random tables show of each divergence at each β: how often it is worse than the reverse KL.

    A table has 2 to 8 replies, a reference drawn evenly from the simplex, rewards from U[0, 1], and a proxy that is off
    by normal noise of standard deviation .5.
    """
    generator = np.random.default_rng(seed)
    scale = np.array(betas)[:, None]
    sums = {name: np.zeros((len(betas), 5)) for name in DIVERGENCES}
    worst = {name: np.zeros((len(betas), 2)) for name in DIVERGENCES}
    for _ in range(tables):
        size = int(generator.integers(2, 9))
        p = torch.tensor(generator.dirichlet(np.ones(size)))
        rewards = generator.random((1, size))
        pair = (torch.tensor(part / scale) for part in (rewards, rewards + generator.normal(0, 0.5, (1, size))))
        true, proxy = tuple(pair)  # β = 1 on r/β is β on r
        found = {name: misspecified(true, proxy, 1.0, p, one) for name, one in DIVERGENCES.items()}
        for name, one in found.items():
            sums[name] += scale ** np.array([1, 1, 0, 0, 0]) * _worse(one, found[REVERSE])
            checks = [(one.loss - one.reward_gap - one.proxy_gap).abs(), one.proxy_gap - one.proxy_gap_bound]
            worst[name] = np.maximum(worst[name], scale * torch.stack(checks, 1).numpy())
    names = ("lost", "value", "loses_more_than_reverse", "worth_less_than_reverse", "rough_estimate_exceeded")
    return [
        {"family": name, "beta": beta, "tables": tables}
        | dict(zip(names, (sums[name][k] / tables).tolist(), strict=True))
        | dict(zip(("residual", "bound_excess"), worst[name][k].tolist(), strict=True))
        for name in DIVERGENCES
        for k, beta in enumerate(betas)
    ]


def _worse(one: Misspecification, reverse: Misspecification) -> NDArray[np.float64]:
    """Return what is lost, what is left, and how it stands to the reverse KL and to the rough estimate: (beta, 5)."""
    flags = [
        one.loss > reverse.loss + 1e-12,
        one.value < reverse.value - 1e-12,
        one.loss > one.rough_estimate + 1e-12,
    ]
    return torch.stack([one.loss, one.value, *(flag.double() for flag in flags)], 1).numpy()


def prompt_values(cases: Sequence[PromptCase], grid: PolicyGrid) -> dict[str, NDArray[np.float64]]:
    """Return every axis of every policy on every prompt: (prompt, policy) each."""
    values = [_prompt_values(case, grid) for case in cases]
    return {axis: np.array([one[axis].tolist() for one in values]) for axis in values[0]}


def curve_rows(values: Mapping[str, NDArray[np.float64]], grid: PolicyGrid, bootstrap: PromptBootstrap) -> list[Row]:
    """Return a row a policy: means over prompts with intervals, and paired differences that verdicts read.

    Differences are to the reference (`gain`), to the middle setting of the same family (`over_middle`), for tilts to
    the reverse KL at the same β (`over_reverse`), and of the true gain to the promised one (`promise_kept`).
    """
    settings, worth = grid.settings(), values["value"]
    rows = []
    for k, (family, setting) in enumerate(settings):
        own = [j for j, (name, _) in enumerate(settings) if name == family]
        row: Row = {"family": family, "setting": setting, "prompts": len(worth)}
        for axis, numbers in values.items():
            row |= bootstrap.mean(numbers[:, k]).columns(axis)
        row |= bootstrap.mean(worth[:, k] - worth[:, own[len(own) // 2]]).columns("over_middle")
        if family in DIVERGENCES:
            row |= bootstrap.mean(worth[:, k] - worth[:, k - own[0]]).columns("over_reverse")
        rows.append(row)
    return rows


def equal_kl_rows(
    values: Mapping[str, NDArray[np.float64]], grid: PolicyGrid, bootstrap: PromptBootstrap, target: float
) -> list[Row]:
    """Return a row a family: true value and win rate where it spends so much KL, and how far the reverse KL is ahead.

    The reference, which spends none, is on every family's curve.
    """
    names = [name for name, _ in grid.settings()]
    reference = (values["value"] - values["gain"])[:, :1]
    starts = {"kl": np.zeros_like(reference), "value": reference, "win_rate": np.full_like(reference, 0.5)}
    curves = {
        family: {
            axis: np.hstack([start, values[axis][:, [k for k, name in enumerate(names) if name == family]]])
            for axis, start in starts.items()
        }
        for family in dict.fromkeys(names)
    }
    found = {
        family: {axis: bootstrap.at(one["kl"], one[axis], target) for axis in starts} for family, one in curves.items()
    }
    rows = []
    for family, one in found.items():
        row: Row = {"family": family, "kl": target}
        if (own := one["value"]) is not None and one["win_rate"] is not None:
            row |= summary(own).columns("value") | summary(one["win_rate"]).columns("win_rate")
            if (reverse := found[REVERSE]["value"]) is not None:
                row |= summary(own - reverse).columns("over_reverse")
        rows.append(row)
    return rows


def _prompt_values(case: PromptCase, grid: PolicyGrid) -> dict[str, Tensor]:
    """Return every axis of every policy on one prompt: (policy,) each."""
    q = laws(case.proxies, case.p, grid, case.answers)
    found = _axes(q, case.p, case.rewards, case.proxies)
    reference = float(case.p @ case.rewards)
    promised = found["proxy_value"] - float(case.p @ case.proxies)
    found |= {"gain": found["value"] - reference, "proxy_gain": promised}
    found |= {"promise_kept": found["gain"] - promised}
    return found if case.good is None else found | {"good": q @ case.good}


def _axes(q: Tensor, p: Tensor, rewards: Tensor, proxies: Tensor) -> dict[str, Tensor]:
    """Return KL spent, win rate, promise and worth of some policies: (policy,) each."""
    return {
        "kl": ReverseKL().between(q, p),
        "win_rate": win_rate(q, p, rewards.expand(len(q), -1)),
        "proxy_value": q @ proxies,
        "value": q @ rewards,
    }
