"""What bidders' private valuations are drawn from, and the virtual values that an optimal auction weighs them by."""

from auctionsim.priors.composite import Empirical, Mixture
from auctionsim.priors.ironing import VirtualValueCurve
from auctionsim.priors.parametric import Beta, Exponential, TruncatedNormal, Uniform
from auctionsim.priors.parsing import parse_priors
from auctionsim.priors.product import Priors, Product, product
from auctionsim.priors.protocol import Atoms, Prior

__all__ = [
    "Atoms",
    "Beta",
    "Empirical",
    "Exponential",
    "Mixture",
    "Prior",
    "Priors",
    "Product",
    "TruncatedNormal",
    "Uniform",
    "VirtualValueCurve",
    "parse_priors",
    "product",
]
