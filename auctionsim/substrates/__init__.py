"""What is auctioned: how an allocation becomes exposure for bidders and loss for the user."""

from auctionsim.substrates.items import Items
from auctionsim.substrates.measured_list import MeasuredList
from auctionsim.substrates.measurements import Measurement, Replicate
from auctionsim.substrates.protocol import (
    FiniteRange,
    FiniteSubstrate,
    Lever,
    Substrate,
    allocation_shape,
    contexts_of,
    is_separable,
    same_substrate,
)
from auctionsim.substrates.quadratic import QuadraticSubstrate
from auctionsim.substrates.surface import LeverGrid, ResponseSurface

__all__ = [
    "FiniteRange",
    "FiniteSubstrate",
    "Items",
    "Lever",
    "LeverGrid",
    "MeasuredList",
    "Measurement",
    "QuadraticSubstrate",
    "Replicate",
    "ResponseSurface",
    "Substrate",
    "allocation_shape",
    "contexts_of",
    "is_separable",
    "same_substrate",
]
