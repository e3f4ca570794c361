"""Replies of a finished measurement, ready to be read again: what was asked, by whom, under which intervention."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.checks import checked_finite
from auctionsim.errors import InputError
from auctionsim.files import read_bounded
from auctionsim.measurement.interventions import NEURON_LEVERS
from auctionsim.measurement.kept_replies import MOST_UNPACKED_BYTES, KeptReplies, KeptReply, read_replies
from auctionsim.readings.passes import SamplingLaw
from auctionsim.readings.protocol import Reply
from auctionsim.records import Record, shown


class Asked(NamedTuple):
    """A prompt of a replicate: index of its context, and its own."""

    replicate: str
    context: int
    prompt: int


@dataclass(frozen=True)
class StoredReplies:
    """Replies as `measure` keeps them.

    Attributes:
        kept: The file's contents.
        digest: SHA-256 of the file.
        brands: The bidders, with the spelling that counts.
    """

    kept: KeptReplies
    digest: str
    brands: tuple[Brand, ...]

    @classmethod
    def load(cls, path: Path, provenance: Mapping[str, Any] | None = None) -> "StoredReplies":
        """Read a file of replies.

        Args:
            path: Of the file.
            provenance: Of the measurement that they belong to. Files of version 1 do not say which names are
                case-sensitive; the provenance does.
        Raises:
            FileNotFoundError: There is none.
            ValueError: It is damaged, or lacks what reading needs; names it.
        """
        kept = read_replies(path)
        try:
            written = (provenance or {}).get("brands", kept.record.get("brands"))
            listed = Record({"brands": written}, "the record").items("brands")
            names = [Record({"names": some}, "brands").texts("names") for some in listed]
            found = cls(
                kept,
                hashlib.sha256(read_bounded(path, MOST_UNPACKED_BYTES)).hexdigest(),
                tuple(Brand.read(some) for some in names),
            )
            _ = (found.law, found.mode, found.positions, found.interventions)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from error
        return found

    @property
    def settings(self) -> Record:
        """How the replies were sampled."""
        return Record(self.kept.record, "the record").record("settings")

    @property
    def law(self) -> SamplingLaw:
        """How each token was drawn."""
        return SamplingLaw(self.settings.number("temperature", 0), self.settings.number("top_p", 0, 1))

    @property
    def mode(self) -> str:
        """What an amplification did."""
        return self.settings.text("mode")

    @property
    def positions(self) -> str:
        """Which tokens interventions touched: "reply" or "all"."""
        return self.settings.text("positions")

    @property
    def interventions(self) -> Tensor:
        """The interventions: (intervention, bidder, lever), float64, the null first."""
        listed = Record(self.kept.record, "the record").items("interventions")
        try:
            found = torch.tensor(listed, dtype=torch.float64)
        except (TypeError, ValueError) as error:
            raise InputError(f"interventions must be numbers, got {error}") from error
        wanted = (len(self.brands), len(self.levers))
        checked_finite(found, "interventions")
        if found.ndim != 3 or tuple(found.shape[1:]) != wanted:
            raise InputError(f"interventions must be of shape (…, {wanted[0]}, {wanted[1]}), got {tuple(found.shape)}")
        return found

    @property
    def levers(self) -> tuple[tuple[str, float], ...]:
        """Name and null of each lever of a bidder."""
        record = Record(self.kept.record, "the record")
        if "carrier" not in record:
            return tuple((lever.name, lever.null) for lever in NEURON_LEVERS)
        listed = record.record("carrier").items("levers")
        if not all(isinstance(pair, list) and len(pair) == 2 for pair in listed):
            raise InputError(f"levers must be pairs of a name and a null, got {shown(listed)}")
        pairs = [Record({"name": name, "null": null}, "a lever") for name, null in listed]
        return tuple((one.text("name"), one.number("null")) for one in pairs)

    @property
    def carrier(self) -> dict[str, Any]:
        """What the replies were moved by, as their record names it, with the plugin's file that made it if one did."""
        record = Record(self.kept.record, "the record")
        if "carrier" in record:
            one = record.record("carrier")
            plugin = {"plugin": one.text("plugin")} if "plugin" in one else {}
            return {"name": one.text("name"), "digest": one.text("digest"), **plugin}
        return {"name": "neurons", "digest": record.text("neurons")}

    def prompt(self, asked: Asked) -> str:
        """Return the text of a prompt."""
        return str(self.kept.record["prompts"][asked.replicate][asked.context][asked.prompt])

    def by_prompt(self) -> dict[Asked, list[int]]:
        """Return which replies, by number, answer each prompt; of each, those under one intervention together."""
        found: dict[Asked, list[int]] = {}
        for number, reply in enumerate(self.kept.replies):
            found.setdefault(Asked(reply.replicate, reply.context, reply.prompt), []).append(number)
        order = self.kept.replies
        return {asked: sorted(some, key=lambda k: (order[k].intervention, k)) for asked, some in found.items()}

    def reply(self, number: int) -> Reply:
        """Return a reply as readings take it."""
        one: KeptReply = self.kept.replies[number]
        asked = Asked(one.replicate, one.context, one.prompt)
        return Reply(self.prompt(asked), one.text, one.token_ids, tuple(one.place), one.ads)
