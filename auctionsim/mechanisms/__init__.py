"""Mechanisms: who gets which levers and what they pay, one mechanism a file."""

import auctionsim.mechanisms.affine_recipe
import auctionsim.mechanisms.bayesian_menu_recipe  # noqa: F401  # both put their lines into the table
from auctionsim.mechanisms.affine_maximizer import AffineMaximizer
from auctionsim.mechanisms.affine_training import AffineStart, train_affine_maximizer
from auctionsim.mechanisms.all_pay import AllPay
from auctionsim.mechanisms.bayesian_menu import BayesianMenu
from auctionsim.mechanisms.bayesian_menu_training import train_bayesian_menu
from auctionsim.mechanisms.best_of import best_of_majority, best_of_n
from auctionsim.mechanisms.bid_networks import BidPerceptron, BidTransformer
from auctionsim.mechanisms.compatible_menus import CompatibleMenus
from auctionsim.mechanisms.compatible_menus_design import menus_within_budget
from auctionsim.mechanisms.delivered_vcg import DeliveredVCG
from auctionsim.mechanisms.divergences import (
    Alpha,
    ChiSquared,
    Divergence,
    ForwardKL,
    JensenShannon,
    ReverseKL,
    TotalVariation,
)
from auctionsim.mechanisms.first_price import FirstPrice
from auctionsim.mechanisms.generalized_prices import GeneralizedFirstPrice, GeneralizedSecondPrice
from auctionsim.mechanisms.honest_bound import HonestBound, honest_bound
from auctionsim.mechanisms.kl_tilt import KLTilt
from auctionsim.mechanisms.linear_program import LinearProgram
from auctionsim.mechanisms.menu import MenuAuction
from auctionsim.mechanisms.menu_entries import Menu, MenuEntries
from auctionsim.mechanisms.menu_network import MenuNetwork
from auctionsim.mechanisms.menu_network_training import train_menu_writer
from auctionsim.mechanisms.menu_training import train_menu
from auctionsim.mechanisms.misspecification import Misspecification, misspecified, win_rate
from auctionsim.mechanisms.nearest_bid import NearestBid
from auctionsim.mechanisms.pay_as_bid import PayAsBid
from auctionsim.mechanisms.per_mention import PerMention
from auctionsim.mechanisms.posted_price import PostedPrice
from auctionsim.mechanisms.posted_showings import PostedShowings
from auctionsim.mechanisms.posterior_mixture import PosteriorMixtureAuction
from auctionsim.mechanisms.proportional_prominence import ProportionalProminence
from auctionsim.mechanisms.protocol import BayesianProof, Mechanism
from auctionsim.mechanisms.regret_net import RegretNet
from auctionsim.mechanisms.regret_net_training import LagrangianSettings, train_regret_net
from auctionsim.mechanisms.robust_optimum import RobustOptimum
from auctionsim.mechanisms.saving import load_mechanism, save_mechanism
from auctionsim.mechanisms.second_price import SecondPrice
from auctionsim.mechanisms.segment_auction import SegmentAuction
from auctionsim.mechanisms.shown_bids import ShownBids
from auctionsim.mechanisms.table import Entry, design
from auctionsim.mechanisms.third_price import ThirdPrice
from auctionsim.mechanisms.tilt_first_price import TiltFirstPrice
from auctionsim.mechanisms.token_second_price import TokenSecondPrice
from auctionsim.mechanisms.training import Schedule
from auctionsim.mechanisms.training_point import TrainingPoint
from auctionsim.mechanisms.two_stage import TwoStage
from auctionsim.mechanisms.unit_auctions import DiscriminatoryPrice, UniformPrice, VickreyUnits
from auctionsim.mechanisms.vcg import VCG
from auctionsim.mechanisms.virtual_welfare import Optimum, VirtualWelfareMaximizer
from auctionsim.mechanisms.winner_prices import WinnerFirstPrice, WinnerSecondPrice

__all__ = [
    "VCG",
    "AffineMaximizer",
    "AffineStart",
    "AllPay",
    "Alpha",
    "BayesianMenu",
    "BayesianProof",
    "BidPerceptron",
    "BidTransformer",
    "ChiSquared",
    "CompatibleMenus",
    "DeliveredVCG",
    "DiscriminatoryPrice",
    "Divergence",
    "Entry",
    "FirstPrice",
    "ForwardKL",
    "GeneralizedFirstPrice",
    "GeneralizedSecondPrice",
    "HonestBound",
    "JensenShannon",
    "KLTilt",
    "LagrangianSettings",
    "LinearProgram",
    "Mechanism",
    "Menu",
    "MenuAuction",
    "MenuEntries",
    "MenuNetwork",
    "Misspecification",
    "NearestBid",
    "Optimum",
    "PayAsBid",
    "PerMention",
    "PostedPrice",
    "PostedShowings",
    "PosteriorMixtureAuction",
    "ProportionalProminence",
    "RegretNet",
    "ReverseKL",
    "RobustOptimum",
    "Schedule",
    "SecondPrice",
    "SegmentAuction",
    "ShownBids",
    "ThirdPrice",
    "TiltFirstPrice",
    "TokenSecondPrice",
    "TotalVariation",
    "TrainingPoint",
    "TwoStage",
    "UniformPrice",
    "VickreyUnits",
    "VirtualWelfareMaximizer",
    "WinnerFirstPrice",
    "WinnerSecondPrice",
    "best_of_majority",
    "best_of_n",
    "design",
    "honest_bound",
    "load_mechanism",
    "menus_within_budget",
    "misspecified",
    "save_mechanism",
    "train_affine_maximizer",
    "train_bayesian_menu",
    "train_menu",
    "train_menu_writer",
    "train_regret_net",
    "win_rate",
]
