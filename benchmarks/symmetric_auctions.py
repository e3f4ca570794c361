"""Symmetric learned auctions: attention over bidders and items, or exchangeable layers, trained as RegretNet is.

Both networks treat bidders alike and items alike. Shares of an item are a softmax over the bidders and nobody; a bidder
pays a share of what it bid for what it gets, so nobody loses by the truth. Training maximises revenue minus an
augmented Lagrangian of regret, which a few gradient steps from random misreports estimate: what these do not see stays.

Sources:
    Dütting et al. (2019), "Optimal auctions through deep learning" (RegretNet: losses, payments).
    Ivanov et al. (2022), "Optimal-er auctions through attention" (RegretFormer). Ours is smaller.
    Rahme et al. (2021), "A permutation-equivariant neural network architecture for auction design" (exchangeable).
"""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from auctionsim.outcome import Outcome

HEADS = 2


class Exchangeable(nn.Module):
    """One layer that reads each bid, its bidder's mean, its item's mean and the mean of all."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = nn.Linear(4 * inputs, outputs)

    def forward(self, x: Float[Tensor, "batch bidder item inputs"]) -> Float[Tensor, "batch bidder item outputs"]:
        """Return the next layer's features, before any nonlinearity."""
        over_items, over_bidders = x.mean(2, keepdim=True), x.mean(1, keepdim=True)
        everything = over_items.mean(1, keepdim=True)
        mixed: Tensor = self.mix(
            torch.cat([x, *(part.expand_as(x) for part in (over_items, over_bidders, everything))], 3)
        )
        return mixed


class Attention(nn.Module):
    """Attention along one axis, bidders or items."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.ask, self.give = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch other member width"]) -> Float[Tensor, "batch other member width"]:
        """Return what each member of the axis before the last takes from the others."""
        split = (*x.shape[:-1], 3 * HEADS, x.shape[-1] // HEADS)
        asked, keys, values = self.ask(x).view(split).transpose(2, 3).chunk(3, dim=2)
        weights = (asked @ keys.transpose(3, 4) / asked.shape[-1] ** 0.5).softmax(4)
        taken: Tensor = self.give((weights @ values).transpose(2, 3).flatten(3))
        return taken


class AttentionBlock(nn.Module):
    """Attention over items and over bidders side by side, then a layer of its own for each bid."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.items, self.bidders = Attention(width), Attention(width)
        self.join, self.out = nn.Linear(2 * width, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch bidder item width"]) -> Float[Tensor, "batch bidder item width"]:
        """Return the features after one block, with a residual."""
        both = torch.cat([self.items(x), self.bidders(x.transpose(1, 2)).transpose(1, 2)], 3)
        joined: Tensor = x + self.out(torch.relu(self.join(both)))
        return joined


class SymmetricAuction(nn.Module):
    """A learned auction for any number of bidders and items.

    Args:
        kind: "attention" or "exchangeable".
        width: Features of each bid.
        depth: Blocks, or layers.
    """

    def __init__(self, kind: str, width: int, depth: int) -> None:
        super().__init__()
        if kind not in ("attention", "exchangeable"):
            raise ValueError(f"kind must be attention or exchangeable, got {kind!r}")
        self.first = Exchangeable(1, width)
        blocks: list[nn.Module] = []
        for _ in range(depth):
            blocks += [AttentionBlock(width)] if kind == "attention" else [nn.Tanh(), Exchangeable(width, width)]
        self.body = nn.Sequential(*blocks, nn.Tanh())
        self.head = nn.Linear(width, 2)

    def forward(self, bids: Float[Tensor, "batch bidder item"], context: Tensor | None = None) -> Outcome:
        """Clear one auction per row."""
        del context
        raw = self.head(self.body(self.first(bids.unsqueeze(3).to(self.head.weight)))).to(bids)
        logits = torch.cat([4 * raw[..., 0], torch.zeros_like(raw[:, :1, :, 0])], 1)
        shares = logits.softmax(1)[:, :-1]
        return Outcome(shares, raw[..., 1].mean(2).sigmoid() * (shares * bids).sum(2))


class NetworkRecipe(NamedTuple):
    """How one network is made.

    Attributes:
        kind: "attention" or "exchangeable".
        bidders: How many.
        items: How many.
        seed: Of weights and valuations.
        steps: Of training.
        width: Features of each bid.
        depth: Blocks, or layers.
        rate: Of Adam.
    """

    kind: str
    bidders: int
    items: int
    seed: int
    steps: int = 1500
    width: int = 16
    depth: int = 2
    rate: float = 3e-3

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.kind} {self.bidders} × {self.items}, seed {self.seed}"


def utilities(rule: SymmetricAuction, bids: Tensor, valuations: Tensor) -> Float[Tensor, "batch bidder"]:
    """Return what everybody gets."""
    outcome = rule(bids)
    return (valuations * outcome.allocation).sum(2) - outcome.payments


def lone_utilities(rule: SymmetricAuction, v: Tensor, misreports: Tensor) -> Float[Tensor, "batch bidder"]:
    """Return each bidder's utility when it alone sends its misreport."""
    batch, n, m = v.shape
    alone = torch.eye(n, dtype=torch.bool).view(1, n, n, 1)
    bids = torch.where(alone, misreports.unsqueeze(1), v.unsqueeze(1)).view(-1, n, m)
    everybody = utilities(rule, bids, v.unsqueeze(1).expand(batch, n, n, m).reshape(-1, n, m))
    return everybody.view(batch, n, n).diagonal(dim1=1, dim2=2)


def trained(recipe: NetworkRecipe, rows: int = 128, ascent: int = 6) -> SymmetricAuction:
    """Return a network trained on U[0, 1] valuations, its weights no longer needing gradients."""
    torch.manual_seed(recipe.seed)  # nn.Linear draws from the global generator
    rule = SymmetricAuction(recipe.kind, recipe.width, recipe.depth)
    g = torch.Generator().manual_seed(recipe.seed)
    optimiser = torch.optim.Adam(rule.parameters(), recipe.rate)
    shape = (rows, recipe.bidders, recipe.items)
    multiplier, penalty = 5.0, 1.0
    for step in range(recipe.steps):
        v = torch.rand(shape, generator=g)
        lie = torch.rand(shape, generator=g).requires_grad_(True)
        search = torch.optim.Adam([lie], 0.1)
        rule.requires_grad_(False)
        for _ in range(ascent):
            search.zero_grad()
            (-lone_utilities(rule, v, lie).sum()).backward()
            search.step()
            lie.data.clamp_(0, 1)
        rule.requires_grad_(True)
        gain = lone_utilities(rule, v, lie.detach()) - utilities(rule, v, v)
        regret = gain.clamp_min(0).mean()
        loss = -rule(v).payments.sum(1).mean() + recipe.bidders * (multiplier * regret + penalty * regret.square())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 49:
            multiplier, penalty = multiplier + penalty * float(regret.detach()) * 50, penalty + 1.0
    return rule.requires_grad_(False)
