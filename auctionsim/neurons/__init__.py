"""Which neurons carry a brand, what amplifying them buys and what it harms."""

from auctionsim.neurons.assignment import assign_disjoint
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.harm import harm, neutral_kl
from auctionsim.neurons.identification import identify
from auctionsim.neurons.methods import METHODS
from auctionsim.neurons.sensitivity import attribution

__all__ = ["METHODS", "BrandNeurons", "assign_disjoint", "attribution", "harm", "identify", "neutral_kl"]
