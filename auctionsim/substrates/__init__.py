"""What is auctioned: how an allocation becomes exposure for bidders and loss for the user."""

from auctionsim.substrates.asked_once import AskedOnce
from auctionsim.substrates.bundles import Bundles
from auctionsim.substrates.items import Items
from auctionsim.substrates.language_model import LanguageModelSubstrate
from auctionsim.substrates.lottery import Lottery
from auctionsim.substrates.manner import Manner
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import Measurement, Replicate
from auctionsim.substrates.mnl_positions import MNLPositions
from auctionsim.substrates.offer import Offer
from auctionsim.substrates.positions import Positions
from auctionsim.substrates.prominence import Prominence
from auctionsim.substrates.protocol import (
    BaseSubstrate,
    ChargedLoss,
    FiniteRange,
    Lever,
    Observation,
    Substrate,
    allocation_shape,
    charged_loss_of,
    contexts_of,
    is_finite,
    is_separable,
    losses_of,
    maximises_exactly,
    observe,
    same_substrate,
    units_of,
)
from auctionsim.substrates.quadratic import QuadraticSubstrate
from auctionsim.substrates.quantities import Quantity
from auctionsim.substrates.randomised import Randomised
from auctionsim.substrates.surface import LeverGrid, ResponseSurface
from auctionsim.substrates.time_sharing import TimeSharing, best_mixture
from auctionsim.substrates.token_mixture_replies import TokenMixtureReplies
from auctionsim.substrates.units import Units
from auctionsim.substrates.view import View

__all__ = [
    "AskedOnce",
    "BaseSubstrate",
    "Bundles",
    "ChargedLoss",
    "FiniteRange",
    "Items",
    "LanguageModelSubstrate",
    "Lever",
    "LeverGrid",
    "Lottery",
    "MNLPositions",
    "Manner",
    "MeasuredList",
    "Measurement",
    "Observation",
    "Offer",
    "Positions",
    "Prominence",
    "QuadraticSubstrate",
    "Quantity",
    "Randomised",
    "Replicate",
    "ResponseSurface",
    "Substrate",
    "TimeSharing",
    "TokenMixtureReplies",
    "Units",
    "View",
    "allocation_shape",
    "best_mixture",
    "charged_loss_of",
    "contexts_of",
    "is_finite",
    "is_separable",
    "losses_of",
    "maximises_exactly",
    "observe",
    "same_substrate",
    "units_of",
]
