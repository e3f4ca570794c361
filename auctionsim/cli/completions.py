"""What a shell completes: names that are known without loading what they name."""

from collections.abc import Callable

from auctionsim.data import carrier_beside, packaged_names, surfaces_folder
from auctionsim.gymnasium_ids import SETTING_OF_ID

Completion = Callable[[str], list[str]]


def among(names: Callable[[], tuple[str, ...]]) -> Completion:
    """Return what completes one of some names, which are asked for when a shell does."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names() if name.startswith(incomplete)]

    return complete


def _is_list(name: str) -> bool:
    return "-subsets@" in name or carrier_beside(surfaces_folder() / f"{name}.safetensors").exists()


MECHANISMS = (
    "optimum",
    "optimum-ignored",
    "optimum-shrunk",
    "optimum-lower",
    "optimum-per-mention",
    "optimum-shrunk-per-mention",
    "optimum-lower-per-mention",
    "linear-program",
    "bayesian-menu",
    "affine",
    "menu",
    "menu-network",
    "vcg",
    "vcg-per-mention",
    "delivered-vcg",
    "pay-as-bid",
)
LEARNERS = ("equilibrium", "exponential-weights", "ppo")
FEATURES = ("slot_probability", "mention_probability", "hits", "intent")

measured = among(packaged_names)
surfaces = among(lambda: tuple(name for name in packaged_names() if not _is_list(name)))
lists = among(lambda: tuple(name for name in packaged_names() if _is_list(name)))
settings = among(lambda: tuple(SETTING_OF_ID.values()))
mechanisms = among(lambda: MECHANISMS)
learners = among(lambda: LEARNERS)
features = among(lambda: FEATURES)
devices = among(lambda: ("auto", "cpu", "cuda", "mps"))
dtypes = among(lambda: ("auto", "float32", "bfloat16", "float16"))
targets = among(lambda: ("menu", "bidders"))
