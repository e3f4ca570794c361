"""A mechanism in a file: its parameters, and outcomes that it must give again when it is read."""

import os

import torch
from torch import Tensor

from auctionsim.errors import InputError, InputTypeError
from auctionsim.mechanisms.codecs import Codec, Saved
from auctionsim.mechanisms.protocol import Mechanism
from auctionsim.mechanisms.saved_substrates import described, refuse_another
from auctionsim.mechanisms.table import codec_of
from auctionsim.records import shown
from auctionsim.storage import Stored, read_stored, write_stored
from auctionsim.substrates.protocol import Substrate, contexts_of

FORMAT = "auctionsim/mechanism"
VERSION = 1
SAMPLES = 24  # profiles whose outcomes the file carries
MOST_SAMPLED = 1 << 14  # bids among them
CLOSE = 1e-9  # relative: another machine may add in another order


def save_mechanism(mechanism: Mechanism, path: str | os.PathLike[str]) -> None:
    """Write a mechanism to one file, whole or not at all.

    The substrate is not in the file: `load_mechanism` is given it again, and checks that it is the same by the outcomes
    of a few profiles, which the file carries.

    Raises:
        TypeError: A kind that has no file form, such as menus written by an arbitrary function.
    """
    state = _codec(mechanism).state(mechanism)
    record = {
        "kind": type(mechanism).__name__,
        "settings": state.settings,
        "substrate": described(mechanism.substrate),
    }
    arrays = {name: array.clone() for name, array in state.arrays.items()}
    write_stored(path, Stored(record, {**arrays, **_samples(mechanism)}), FORMAT, VERSION)


def load_mechanism(path: str | os.PathLike[str], substrate: Substrate | None = None) -> Mechanism:
    """Read a mechanism; it gives the outcomes that it gave when it was saved.

    Args:
        path: What `save_mechanism` wrote.
        substrate: The one it was made for; None for item rules.
    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, damaged, or no mechanism; or the substrate is not the one it was saved with,
            or charges another loss.
    """
    stored = read_stored(path, FORMAT, VERSION)
    where = os.fspath(path)
    try:
        kind = stored.fields.text("kind")
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: {error}") from error
    codec = codec_of(kind)
    if codec is None:
        raise InputError(f"{where}: is no mechanism that this auctionsim knows: {shown(kind)}; is it a plugin's?")
    try:
        _check_samples(stored)
        mechanism = codec.make(Saved(stored), substrate)
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: does not fit {_named(substrate)}: {error}") from error
    try:
        refuse_another(stored.record.get("substrate"), mechanism.substrate)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error
    try:
        expected = _samples(mechanism, stored.arrays["sample_bids"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: does not fit {_named(substrate)}: {error}") from error
    for name, made in expected.items():
        array = stored.arrays.get(name)
        if array is None or array.shape != made.shape or not torch.allclose(array.to(made), made, CLOSE, CLOSE):
            raise InputError(f"{where}: gives another {name} on {_named(substrate)} than when it was saved")
    return mechanism


def _check_samples(stored: Stored) -> None:
    """Refuse sample bids that are none, or too many to compute."""
    bids = stored.array("sample_bids", (None, None, None))
    if bids.numel() > MOST_SAMPLED or not bids.numel():
        raise InputError(f"sample_bids must hold 1 to {MOST_SAMPLED} numbers, got {tuple(bids.shape)}")


def _samples(mechanism: Mechanism, bids: Tensor | None = None) -> dict[str, Tensor]:
    """Return a few profiles and what the mechanism makes of them, contexts taking turns."""
    if bids is None:
        generator = torch.Generator().manual_seed(0)
        shape = (SAMPLES, mechanism.num_bidders or 3, mechanism.num_features or 1)
        scale = 2.0 ** (torch.arange(SAMPLES) % 8 - 5).double()  # the money scale is not known here
        bids = torch.rand(shape, generator=generator, dtype=torch.float64) * scale.view(-1, 1, 1)
    names = () if mechanism.substrate is None else contexts_of(mechanism.substrate)
    context = torch.arange(len(bids)) % len(names) if names else None
    outcome = mechanism(bids, context)
    samples = {"sample_bids": bids, "sample_allocations": outcome.allocation, "sample_payments": outcome.payments}
    if mechanism.substrate is not None:
        samples["sample_exposures"] = mechanism.substrate.exposure(outcome.allocation, context).clone()
    return samples


def _named(substrate: Substrate | None) -> str:
    return "no substrate" if substrate is None else f"this {type(substrate).__name__}"


def _codec(mechanism: Mechanism) -> Codec:
    """Return the codec of the mechanism's own class; a subclass is another kind."""
    kind = type(mechanism)
    codec = codec_of(kind.__name__)
    if codec is None or codec.kind is not kind:
        raise InputTypeError(f"{kind.__name__} has no file form")
    return codec
