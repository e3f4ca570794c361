"""A playground: one page on this machine, on which an auction over a reply is moved by sliders."""

from auctionsim.play.replies import ModelChoice
from auctionsim.play.serving import play_app, serve

__all__ = ["ModelChoice", "play_app", "serve"]
