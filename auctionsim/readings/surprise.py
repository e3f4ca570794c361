"""Surprise of a reply to the untouched model: its fluency, in nats a token."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from auctionsim.readings.passes import TeacherForced
from auctionsim.readings.protocol import ModelReading
from auctionsim.readings.registry import register


def surprise(passes: TeacherForced) -> Float[Tensor, " row"]:
    """Return each reply's mean −log π_0 over its tokens, at temperature 1, nats a token."""
    log_p = torch.log_softmax(passes.untouched.float(), -1)
    return passes.mean(-log_p.gather(2, passes.tokens.unsqueeze(2)).squeeze(2))


SURPRISE = register(ModelReading("surprise", "nats a token", per="reply", bounds=(0.0, math.inf), read=surprise))
