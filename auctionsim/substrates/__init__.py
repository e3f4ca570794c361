"""What is auctioned: how an allocation becomes exposure for bidders and loss for the user."""

from auctionsim.substrates.asked_once import AskedOnce
from auctionsim.substrates.bundles import Bundles
from auctionsim.substrates.items import Items
from auctionsim.substrates.lottery import Lottery
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import Measurement, Replicate
from auctionsim.substrates.positions import Positions
from auctionsim.substrates.protocol import (
    FiniteRange,
    FiniteSubstrate,
    Lever,
    Substrate,
    allocation_shape,
    contexts_of,
    is_finite,
    is_separable,
    maximises_exactly,
    same_substrate,
)
from auctionsim.substrates.quadratic import QuadraticSubstrate
from auctionsim.substrates.selling import Selling
from auctionsim.substrates.surface import LeverGrid, ResponseSurface
from auctionsim.substrates.units import Units

__all__ = [
    "AskedOnce",
    "Bundles",
    "FiniteRange",
    "FiniteSubstrate",
    "Items",
    "Lever",
    "LeverGrid",
    "Lottery",
    "MeasuredList",
    "Measurement",
    "Positions",
    "QuadraticSubstrate",
    "Replicate",
    "ResponseSurface",
    "Selling",
    "Substrate",
    "Units",
    "allocation_shape",
    "contexts_of",
    "is_finite",
    "is_separable",
    "maximises_exactly",
    "same_substrate",
]
