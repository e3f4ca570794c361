"""A small learned auction and its exact regret: a piecewise-linear network, maximised by mixed-integer programming."""

from itertools import pairwise

import numpy as np
import torch
from scipy.optimize import Bounds, LinearConstraint, milp
from torch import Tensor, nn

from auctionsim.outcome import Outcome


class PiecewiseLinearAuction(nn.Module):
    """Two bidders, two items: ReLU layers, bidder 0's shares clipped to [0, 1], bidder 1 the rest, payments ReLU."""

    def __init__(self, seed: int, width: int = 10, gain: float = 1.5) -> None:
        super().__init__()
        g = torch.Generator().manual_seed(seed)
        sizes = [4, width, width, 4]
        self.weights = nn.ParameterList([gain * torch.randn(o, i, generator=g) / i**0.5 for i, o in pairwise(sizes)])
        self.biases = nn.ParameterList([0.3 * torch.randn(o, generator=g) for o in sizes[1:]])

    def forward(self, bids: Tensor, context: Tensor | None = None) -> Outcome:
        x = bids.flatten(1)
        for k, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = x @ weight.T.to(x) + bias.to(x)
            x = x.relu() if k < 2 else x
        share = x[:, :2].clamp(0, 1)
        return Outcome(torch.stack([share, 1 - share], 1), x[:, 2:].relu())


def trained(seed: int, steps: int = 20) -> PiecewiseLinearAuction:
    """Train for revenue with penalties on regret (against random misreports) and losses: small, uneven regret."""
    net, g = PiecewiseLinearAuction(seed), torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(net.parameters(), 0.01)
    for _ in range(steps):
        v = torch.rand(128, 2, 2, generator=g)
        truth = net(v)
        u = (v * truth.allocation).sum(2) - truth.payments
        regret = torch.zeros(2)
        for i in range(2):
            bids = v.repeat(12, 1, 1)
            bids[:, i] = torch.rand(12 * 128, 2, generator=g)
            lie = net(bids)
            gain = (v[:, i].repeat(12, 1) * lie.allocation[:, i]).sum(1) - lie.payments[:, i]
            regret[i] = (gain.view(12, 128).amax(0) - u[:, i]).clamp_min(0).mean()
        loss = 5 * regret.sum() + 3 * (-u).clamp_min(0).mean() - truth.payments.sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return net.requires_grad_(False)


def certified_regret(net: PiecewiseLinearAuction, valuations: Tensor) -> Tensor:
    """Return (batch, bidder) regret over misreports in [0, 1]², to the solver's tolerance (1e-6)."""
    found = torch.zeros(valuations.shape[:2], dtype=torch.float64)
    truth = net(valuations)
    u = (valuations * truth.allocation).sum(2) - truth.payments
    for k, profile in enumerate(valuations):
        for i in range(2):
            found[k, i] = max(_best(net, profile, i) - float(u[k, i]), 0.0)
    return found


class _Program:
    """Variables with bounds, some of them binary, and rows low ≤ a·x ≤ high, gathered one at a time."""

    def __init__(self) -> None:
        self.low, self.high, self.binary, self.rows = [], [], [], []

    def variable(self, low: float, high: float, binary: bool = False) -> int:
        self.low.append(low), self.high.append(high), self.binary.append(binary)
        return len(self.low) - 1

    def row(self, terms: dict[int, float], low: float, high: float) -> None:
        self.rows.append((terms, low, high))

    def relu(self, terms: dict[int, float], constant: float) -> int:
        """Return y = max(0, terms · x + constant), by a binary and bounds from interval arithmetic."""
        ends = [(c * self.low[j], c * self.high[j]) for j, c in terms.items()]
        low, high = constant + sum(map(min, ends)), constant + sum(map(max, ends))
        y = self.variable(0.0, max(high, 0.0))
        if high > 0:
            on = self.variable(0, 1, binary=True)
            minus = {j: -c for j, c in terms.items()}
            self.row({**minus, y: 1.0}, constant, np.inf)  # y ≥ the line
            self.row({**minus, y: 1.0, on: -min(low, 0.0)}, -np.inf, constant - min(low, 0.0))  # and equal to it if on
            self.row({y: 1.0, on: -high}, -np.inf, 0.0)  # 0 if off
        return y

    def most(self, objective: dict[int, float]) -> float:
        cost, matrix = np.zeros(len(self.low)), np.zeros((len(self.rows), len(self.low)))
        for j, c in objective.items():
            cost[j] = -c
        for k, (terms, _, _) in enumerate(self.rows):
            for j, c in terms.items():
                matrix[k, j] += c
        limits = LinearConstraint(matrix, [r[1] for r in self.rows], [r[2] for r in self.rows])
        whole, box = np.array(self.binary, dtype=int), Bounds(self.low, self.high)
        for presolve in (True, False):  # HiGHS gives up on a few presolved programs ("Solve error") that it solves raw
            options = {"mip_rel_gap": 1e-9, "presolve": presolve}
            done = milp(cost, constraints=limits, bounds=box, integrality=whole, options=options)
            if done.status == 0:
                break
        assert done.status == 0, done.message
        return -float(done.fun)


def _best(net: PiecewiseLinearAuction, profile: Tensor, bidder: int) -> float:
    """Return the most that any own bid in [0, 1]² brings, the other's bid staying."""
    program, other = _Program(), 1 - bidder
    own = [program.variable(0.0, 1.0) for _ in range(2)]
    weights = [w.double().numpy() for w in net.weights]
    biases = [b.double().numpy() for b in net.biases]
    columns = slice(2 * bidder, 2 * bidder + 2)
    fixed = biases[0] + weights[0][:, 2 * other : 2 * other + 2] @ profile[other].double().numpy()
    lines = [dict(zip(own, row[columns], strict=True)) for row in weights[0]]
    layer = [program.relu(line, c) for line, c in zip(lines, fixed, strict=True)]
    layer = [program.relu(dict(zip(layer, row, strict=True)), c) for row, c in zip(weights[1], biases[1], strict=True)]
    out = [(dict(zip(layer, row, strict=True)), c) for row, c in zip(weights[2], biases[2], strict=True)]
    objective, constant = {program.relu(*out[2 + bidder]): -1.0}, 0.0
    for item in range(2):
        line, c = out[item]
        sign = (1.0 if bidder == 0 else -1.0) * float(profile[bidder, item])
        objective[program.relu(line, c)] = sign  # clip(y, 0, 1) = relu(y) − relu(y − 1)
        objective[program.relu(line, c - 1)] = -sign
        constant += 0.0 if bidder == 0 else float(profile[bidder, item])
    return constant + program.most(objective)
