"""Who gets which levers and what they pay: one mechanism a file."""

from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.vcg import VCG

__all__ = ["VCG", "Mechanism", "PayAsBid"]
