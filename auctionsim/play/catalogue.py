"""The surfaces that can be played on: each with its brands, its prompts, and what it can sell and charge for."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch

from auctionsim.brands import Brand
from auctionsim.data import packaged_names, surfaces_folder
from auctionsim.errors import InputError
from auctionsim.prompts import PromptSet, build_prompts
from auctionsim.records import shown
from auctionsim.storage import stored_format
from auctionsim.substrates import MeasuredList, ResponseSurface

Measurement = ResponseSurface | MeasuredList

_VERSION = re.compile(r"@(\d+)$")
SPLIT = "test"
"""The prompts that are shown: those that nothing was designed or scored on."""


class PlayedSurface:
    """A measured surface, with all that the page needs to know of it.

    Args:
        name: Packaged, or the file's.
        measurement: What was measured.
        path: The file; None for a packaged surface.
    Raises:
        ValueError: Its provenance does not say which brands were measured on which prompts.
    """

    def __init__(self, name: str, measurement: Measurement, path: Path | None = None) -> None:
        self.name, self.measurement, self.path = name, measurement, path
        known = measurement.provenance
        try:
            self.brands = tuple(Brand.read(names) for names in known["brands"])
            self.category = str(known["category"])
            self.settings: Mapping[str, object] = known["settings"]
            asked = known["prompts"]
        except KeyError as missing:
            raise InputError(f"{name} cannot be played on: its provenance has no {missing}") from None
        prompts = build_prompts(self.category)
        if prompts.digest != asked or prompts.contexts != measurement.contexts:
            raise InputError(f"{name} cannot be played on: it was measured on prompts that do not ship with auctionsim")
        if len(self.brands) != measurement.num_bidders:
            raise InputError(
                f"{name} cannot be played on: {len(self.brands)} brands, {measurement.num_bidders} bidders"
            )
        self.prompts: PromptSet = prompts.split(SPLIT)

    @property
    def carrier(self) -> Mapping[str, object] | None:
        """What the provenance says of the carrier; None for a surface of neurons, which says nothing."""
        found: Mapping[str, object] | None = self.measurement.provenance.get("carrier")
        return found

    @property
    def sold(self) -> str:
        """What is sold, in a few words."""
        return "feed-forward neurons" if self.carrier is None else str(self.carrier["label"])

    @property
    def label(self) -> str:
        """The surface in words, such as "Nike, Adidas · running shoes · feed-forward neurons"."""
        names = ", ".join(brand.name for brand in self.brands)
        return f"{names} · {self.category} · {self.sold}"

    @cached_property
    def most_exposure(self) -> Mapping[str, float]:
        """The greatest exposure of any brand in any setting and context, by feature."""
        view = self.measurement.sell(*self.measurement.measured_features)
        contexts = torch.arange(len(view.contexts))
        exposures = view.finite_range(contexts).exposures
        return dict(zip(view.features, exposures.flatten(0, -2).amax(0).tolist(), strict=True))


class Catalogue:
    """The surfaces of one playground, by name.

    Args:
        surfaces: One or more; the first is played on first.
    """

    def __init__(self, surfaces: Sequence[PlayedSurface]) -> None:
        self._surfaces = {one.name: one for one in surfaces}
        self.names = tuple(self._surfaces)

    @property
    def first(self) -> str:
        """The surface that is played on first."""
        return self.names[0]

    def surface(self, name: str) -> PlayedSurface:
        """Return one of them.

        Raises:
            ValueError: None of that name.
        """
        if name not in self._surfaces:
            raise InputError(f"surface must be one of {', '.join(self.names)}, got {shown(name)}")
        return self._surfaces[name]


def whole_catalogue(named: str) -> Catalogue:
    """Return a surface, and behind it all packaged ones that can be played on, in their newest versions.

    Args:
        named: A packaged surface, or a .safetensors file.
    Raises:
        ValueError: A surface that cannot be played on.
    """
    path = Path(named)
    own = path if path.suffix == ".safetensors" else None
    first = PlayedSurface(named if own is None else path.stem, _measurement(named), own)
    others = [one for name in newest_names() if name != first.name and (one := _playable(name)) is not None]
    others.sort(key=lambda one: (one.category != first.category, one.carrier is not None, one.name))
    return Catalogue([first, *others])


def newest_names() -> tuple[str, ...]:
    """Return the packaged measurements in their newest versions.

    Example:
        >>> "running-shoes-2@1" in newest_names()
        False
    """
    newest: dict[str, tuple[int, str]] = {}
    for name in packaged_names():
        version = _VERSION.search(name)
        if version is not None:
            stem, number = name[: version.start()], int(version[1])
            newest[stem] = max(newest.get(stem, (0, "")), (number, name))
    return tuple(name for _, name in newest.values())


def _playable(name: str) -> PlayedSurface | None:
    """Return a packaged measurement if it can be played on."""
    try:
        return PlayedSurface(name, _measurement(name))
    except InputError:
        return None


def _measurement(name: str) -> Measurement:
    """Return what was measured: packaged, or in a file; a surface or a list."""
    is_file = Path(name).suffix == ".safetensors"
    path = Path(name) if is_file else surfaces_folder() / f"{name}.safetensors"
    kind = MeasuredList if path.is_file() and stored_format(path) == MeasuredList.file_format else ResponseSurface
    return kind.load(name) if is_file else kind.packaged(name)
