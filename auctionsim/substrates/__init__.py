"""What is auctioned: how an allocation becomes exposure for bidders and loss for the user."""

from auctionsim.substrates.items import Items
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

__all__ = [
    "FiniteRange",
    "FiniteSubstrate",
    "Items",
    "Lever",
    "QuadraticSubstrate",
    "Substrate",
    "allocation_shape",
    "contexts_of",
    "is_separable",
    "same_substrate",
]
