"""Divergence of replies from the untouched model's: `kl` in nats a token, `reply_kl` in nats a reply; 0 at the null.

With π_x the model under an intervention and π_0 untouched, y a reply sampled under x, and prefixes y_<t:

    kl       = mean over t of KL(π_x(· | y_<t) ‖ π_0(· | y_<t)), both at temperature 1
    reply_kl = sum over t of the same, both at the temperature T that the reply was drawn at

Exact over the vocabulary, in float32. By the chain rule the mean of `reply_kl` over replies drawn under x is the
divergence of the two laws of whole replies, up to their longest length; so it is refused where top_p < 1 cuts the law.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.readings.passes import TeacherForced
from auctionsim.readings.protocol import IS_ONE, ModelReading
from auctionsim.readings.registry import register


def token_divergence(passes: TeacherForced) -> Float[Tensor, " row"]:
    """Return each reply's mean KL(π_x ‖ π_0) over its tokens, at temperature 1, nats a token."""
    return passes.mean(passes.divergence())


def reply_divergence(passes: TeacherForced) -> Float[Tensor, " row"]:
    """Return each reply's summed KL(π_x ‖ π_0) over its tokens, at the sampling temperature, nats a reply.

    A reply that was chosen among several has no token law: of it, it is the divergence of the chosen reply's law.
    """
    summed = passes.sum(passes.divergence(passes.law.temperature))
    return torch.where(passes.chosen.isnan(), summed, passes.chosen.to(summed))


KL = register(
    ModelReading("kl", "nats a token", per="user", bounds=(0.0, math.inf), loss=IS_ONE, read=token_divergence)
)
REPLY_KL = register(
    ModelReading(
        "reply_kl",
        "nats a reply",
        per="user",
        bounds=(0.0, math.inf),
        loss=IS_ONE,
        read=reply_divergence,
        whole_law=True,
    )
)
