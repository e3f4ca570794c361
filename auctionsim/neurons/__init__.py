"""Which neurons carry a brand, what amplifying them buys and what it harms."""

from auctionsim.neurons.assignment import assign_disjoint
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.identification import METHODS, identify
from auctionsim.neurons.sensitivity import attribution, harm

__all__ = ["METHODS", "BrandNeurons", "assign_disjoint", "attribution", "harm", "identify"]
