"""A lottery over a fixed set of replies: what is allocated is the distribution that the reply is drawn from."""

import torch
from torch import Tensor

from auctionsim.checks import checked_tensor
from auctionsim.errors import InputError
from auctionsim.substrates.randomised import ListedEntries, Randomised


class Lottery(Randomised):
    """Replies y with exposures e_i(y) and user losses L(y); an allocation is a distribution q over them.

    e_i(q) = E_q e_i(y) and L(q) = E_q L(y). The null is the reference distribution, what the untouched model says. No
    lever is a bidder's own. The numbers are copied: changing what it was made from does not change it.

    Args:
        exposures: (reply, bidder, feature), finite, ≥ 0.
        user_losses: (reply,), finite, of either sign.
        reference: (reply,), probabilities; None for uniform.
    """

    def __init__(self, exposures: Tensor, user_losses: Tensor, reference: Tensor | None = None) -> None:
        checked_tensor(exposures, "exposures"), checked_tensor(user_losses, "user_losses")
        replies = len(exposures) if exposures.ndim else 0
        if exposures.ndim != 3 or not all(exposures.shape) or user_losses.shape != (replies,):
            raise InputError(
                f"a lottery needs exposures (reply, bidder, feature) and user_losses (reply,), "
                f"got {tuple(exposures.shape)} and {tuple(user_losses.shape)}"
            )
        if not bool((torch.isfinite(exposures) & (exposures >= 0)).all()):
            raise InputError("exposures must be finite and >= 0")
        if not bool(torch.isfinite(user_losses).all()):
            raise InputError("user_losses must be finite")
        features = tuple(f"feature_{k}" for k in range(exposures.shape[2]))
        self.substrate = None
        self._keep(
            ListedEntries(
                exposures=exposures.detach().double().unsqueeze(0),
                losses={"loss": user_losses.detach().double().unsqueeze(0)},
                contexts=(),
                features=features,
                units={name: name.replace("_", " ") for name in (*features, "loss")},
                bases={},
            ),
            torch.full((replies,), 1 / replies) if reference is None else reference,
        )
