"""The file form of menu auctions: fixed menus, or the network that writes them."""

from auctionsim.errors import InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved, State, history_of, needed
from auctionsim.mechanisms.menu import MenuAuction
from auctionsim.mechanisms.menu_entries import Menu
from auctionsim.mechanisms.menu_network import MenuNetwork
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.storage import fill_network
from auctionsim.substrates.protocol import Substrate, contexts_of

NETWORK = "network."  # how the network's tensors are called in the file


def _state(rule: MenuAuction) -> State:
    settings: dict[str, object] = {"history": history_of(rule.history)}
    arrays = {"reference": rule.reference}
    if isinstance(rule.menus, Menu):
        arrays |= rule.menus._asdict()
    elif type(rule.menus) is MenuNetwork:
        arrays |= rule.menus.state_dict(prefix=NETWORK)
        settings["hidden"] = rule.menus.hidden
    else:
        raise InputTypeError("menus written by a function have no file form")
    return State(settings, arrays)


def _made(saved: Saved, substrate: Substrate | None) -> Mechanism:
    n, levers = needed(substrate).num_bidders, len(needed(substrate).levers)
    offered: Menu | MenuNetwork
    if "hidden" in saved.settings:
        offered = _network(saved, needed(substrate))
    else:
        shape = (None,) * (saved.stored.arrays["prices"].ndim - 2) if "prices" in saved.stored.arrays else ()
        prices = saved.array("prices", (*shape, n, None))
        offered = Menu(saved.array("levers", (*prices.shape, levers)), prices)
    rule = MenuAuction(needed(substrate), offered, reference=saved.array("reference", (n, levers)))
    rule.history = saved.history
    return rule


def _network(saved: Saved, substrate: Substrate) -> MenuNetwork:
    """Build a network of the size that its tensors have, whatever the settings say."""
    hidden = saved.settings.whole("hidden", 1)
    saved.array(f"{NETWORK}body.2.weight", (hidden, hidden))
    slots = len(contexts_of(substrate)) + 1
    entries = saved.array(f"{NETWORK}prices", (slots, substrate.num_bidders, None)).shape[2]
    saved.array(f"{NETWORK}body.4.weight", (entries * (len(substrate.levers) + 1), hidden))
    network = MenuNetwork(substrate, entries=entries, hidden=hidden)
    fill_network(network, NETWORK, saved.stored)
    return network


MENU_FILE = Codec(MenuAuction, _state, _made)
