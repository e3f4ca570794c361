"""A playground: one page on this machine, on which an auction over a reply is moved by sliders."""

from auctionsim.play.catalogue import Catalogue, PlayedSurface, whole_catalogue
from auctionsim.play.replies import Writer
from auctionsim.play.serving import ModelChoice, play_app, serve

__all__ = ["Catalogue", "ModelChoice", "PlayedSurface", "Writer", "play_app", "serve", "whole_catalogue"]
