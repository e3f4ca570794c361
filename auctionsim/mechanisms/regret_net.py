"""Learned rivals without a proof: a network chooses a distribution over entries and what each bidder is charged."""

from typing import SupportsIndex

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.checks import checked_money, checked_number
from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.bid_networks import BidNetwork, BidPerceptron, BidTransformer
from auctionsim.mechanisms.codecs import Codec, Saved, State, history_of
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.outcome import Outcome
from auctionsim.storage import fill_network
from auctionsim.substrates.protocol import Substrate, contexts_of
from auctionsim.substrates.randomised import Randomised

NETWORK = "network."  # how the network's tensors are called in the file
SHARPNESS = 20.0  # of the softmax, per largest valuation and unit of exposure
SCALES = (1e-30, 1e30)  # the least and the largest, in money
KINDS: dict[str, type[BidNetwork]] = {kind.kind: kind for kind in (BidPerceptron, BidTransformer)}


class RegretNet(Mechanism):
    """Draw entry y with probability ∝ exp(β (Σ w_if e_if(y) − λ L(y) / s + c_y)); charge a share of the reported value.

    A network reads all bids and the context and writes the weights w, the constants c and the shares r_i in (0, 1);
    s is the largest valuation, in whose shares bids are read, and bids above it count as it. Payments are
    t_i = r_i max(0, Σ_f b_if e_if), so that nobody pays more than it said the draw is worth to it: individually
    rational in expectation at truth, whatever the network. Nothing else is proved: by another bid a bidder may gain,
    and how much is for `auctionsim.regret` to find.

    Args:
        substrate: A `Randomised` range, any number of features.
        network: `BidPerceptron` or `BidTransformer` of its sizes; None: a perceptron.
        scale: s, in money.
        user_weight: λ ≥ 0.
        seed: Of the network if none is given.
    Raises:
        TypeError, ValueError: Another substrate, a network of other sizes.
    Source:
        Dütting, Feng, Narasimhan, Parkes and Ravindranath (2019), "Optimal auctions through deep learning", section 4,
        for items. Here entries of a range are chosen, and the choice begins at greatest welfare.
    """

    def __init__(
        self,
        substrate: Substrate,
        network: BidNetwork | None = None,
        scale: float = 1.0,
        user_weight: float = 0.0,
        *,
        seed: SupportsIndex = 0,
    ) -> None:
        if not isinstance(substrate, Randomised):
            raise InputTypeError(f"a distribution needs a Randomised range, got {type(substrate).__name__}")
        super().__init__(substrate.num_bidders, len(substrate.features), substrate)
        self.range: Randomised = substrate
        self.scale = checked_number(scale, "scale", *SCALES)
        self.user_weight = checked_money(user_weight, "user_weight")
        self._price = min(self.user_weight / self.scale, SCALES[1])  # of user loss, per largest valuation
        sizes = network_sizes(substrate)
        self.network: BidNetwork = BidPerceptron(sizes, seed=seed) if network is None else network
        if self.network.sizes != sizes:
            raise InputError(f"the network must be of the sizes {sizes}, got {self.network.sizes}")
        places = [*range(sizes[0] - 1), None]
        entries = [substrate.entries(place) for place in places]
        self.exposures = torch.stack([one.exposures for one in entries])  # slot, entry, bidder, feature
        self.user_losses = torch.stack([one.user_losses for one in entries])

    def clear(self, bids: Tensor, context: Tensor | None) -> Outcome:
        """Let the network choose, and charge its shares of what the reported values are."""
        q, exposure, fractions = self.chosen(bids, context)
        value = (bids.clamp_max(self.scale) * exposure).sum(2).clamp_min(0)
        return Outcome(q, fractions * value)

    def chosen(
        self, bids: Float[Tensor, "batch bidder feature"], context: Tensor | None
    ) -> tuple[Float[Tensor, "batch entry"], Float[Tensor, "batch bidder feature"], Float[Tensor, "batch bidder"]]:
        """Return the distribution, the expected exposure and the shares charged, with their gradients."""
        last = len(self.exposures) - 1
        slot = torch.full((len(bids),), last, device=bids.device) if context is None else context.long()
        weight = next(self.network.parameters())
        readings = self.network((bids.clamp_max(self.scale) / self.scale).to(weight.dtype), slot)
        exposures = self.exposures.to(bids.device, bids.dtype)[slot]
        costs = self.user_losses.to(bids.device, bids.dtype)[slot] * self._price
        worth = torch.einsum("bif,byif->by", readings.weights.to(bids.dtype), exposures)
        q = torch.softmax(SHARPNESS * (worth - costs + readings.constants.to(bids.dtype)), 1)
        exposure = torch.einsum("by,byif->bif", q, exposures)
        return q, exposure, readings.fractions.to(bids.dtype)


def network_sizes(substrate: Randomised) -> tuple[int, int, int, int]:
    """Return slots (contexts plus one), entries, bidders and features of a range."""
    return (
        len(contexts_of(substrate)) + 1,
        len(substrate.reference),
        substrate.num_bidders,
        len(substrate.features),
    )


def _state(rule: RegretNet) -> State:
    kind = next((name for name, known in KINDS.items() if type(rule.network) is known), None)
    if kind is None:
        raise InputTypeError(f"a network of the kind {type(rule.network).__name__} has no file form")
    settings = {name: getattr(rule, name) for name in ("scale", "user_weight")}
    settings |= {"network": kind, "width": rule.network.width, "history": history_of(rule.history)}
    return State(settings, dict(rule.network.state_dict(prefix=NETWORK)))


def _made(saved: Saved, substrate: Substrate | None) -> Mechanism:
    s = saved.settings
    if not isinstance(substrate, Randomised):
        raise InputError(f"a distribution needs a Randomised range, got {type(substrate).__name__}")
    name = s.text("network")
    if name not in KINDS:
        raise InputError(f"network must be one of {', '.join(KINDS)}, got {name!r}")
    first = "body.2.bias" if name == BidPerceptron.kind else "head.weight"
    width = saved.array(NETWORK + first, (None,) if name == BidPerceptron.kind else (2, None)).shape[-1]
    if s.whole("width", 1) != width:
        raise InputError(f"width must be that of the tensors, {width}, got {s.whole('width', 1)}")
    network = KINDS[name](network_sizes(substrate), width)
    fill_network(network, NETWORK, saved.stored)
    rule = RegretNet(substrate, network, s.number("scale", 0), s.number("user_weight", 0))
    rule.history = saved.history
    return rule


REGRET_NET_FILE = Codec(RegretNet, _state, _made)
