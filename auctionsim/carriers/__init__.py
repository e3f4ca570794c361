"""What moves a reply and can be sold: carriers, one file each, behind one protocol."""

from auctionsim.carriers import choice as _choice  # noqa: F401
from auctionsim.carriers import displayed_bids as _displayed_bids  # noqa: F401
from auctionsim.carriers import insertion as _insertion  # noqa: F401
from auctionsim.carriers import log_linear_mixture as _log_linear_mixture  # noqa: F401
from auctionsim.carriers import logit_bias as _logit_bias  # noqa: F401
from auctionsim.carriers import low_rank as _low_rank  # noqa: F401
from auctionsim.carriers import neurons as _neurons  # noqa: F401
from auctionsim.carriers import prompt_ad as _prompt_ad  # noqa: F401
from auctionsim.carriers import residual_vector as _residual_vector  # noqa: F401
from auctionsim.carriers import segments as _segments  # noqa: F401
from auctionsim.carriers import slots as _slots  # noqa: F401
from auctionsim.carriers import token_mixture as _token_mixture  # noqa: F401
from auctionsim.carriers.neurons import Neurons
from auctionsim.carriers.protocol import Carrier
from auctionsim.carriers.registry import (
    CarrierEntry,
    FittingInputs,
    carrier_entry,
    carrier_names,
    load_carrier,
    register,
    save_carrier,
    unregister,
)

__all__ = [
    "Carrier",
    "CarrierEntry",
    "FittingInputs",
    "Neurons",
    "carrier_entry",
    "carrier_names",
    "load_carrier",
    "register",
    "save_carrier",
    "unregister",
]
