"""Which neurons carry a brand: identification, and assignment to one brand each."""

from auctionsim.neurons.assignment import assign_disjoint
from auctionsim.neurons.brand_neurons import BrandNeurons
from auctionsim.neurons.harm import harm
from auctionsim.neurons.identification import identify
from auctionsim.neurons.methods import METHODS
from auctionsim.neurons.sensitivity import attribution

__all__ = ["METHODS", "BrandNeurons", "assign_disjoint", "attribution", "harm", "identify"]
