"""The kit of carriers catches one broken on purpose for each check."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from sound_carrier import BRANDS, Added, Pulled, Shown, Sound, SoundChoice, SoundInside, SoundTexts, makes
from torch import Tensor

from auctionsim.brands import Brand
from auctionsim.carriers import Carrier
from auctionsim.language_models.change import Change, ShownPage
from auctionsim.language_models.framing import Framings
from auctionsim.levers import Lever
from auctionsim.storage import Stored
from auctionsim.testing import BrokenClaimError, carrier_checks, check_carrier, fake_language_model

MODEL, WORN = fake_language_model(), fake_language_model()


@pytest.mark.parametrize("kind", [Sound, SoundTexts, SoundChoice, SoundInside])
def test_sound_ones_pass(kind: type[Sound]) -> None:
    check_carrier(kind(), MODEL, made=makes(kind), turned=kind(BRANDS[::-1]), examples=2)


def test_one_brand_passes() -> None:
    check_carrier(Sound(BRANDS[:1]), MODEL, made=makes(Sound), examples=1)


class Misspelt(Sound):
    whole = ("slots",)


class Endless(Sound):
    levers = (Lever("pull", 0.0, torch.inf, 0.0),)


class Odd(Sound):
    without = ("charm",)


class OneRow(Sound):
    """Does to all rows what the first one says."""

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        return super().change(allocation[:1])


class Anything(Sound):
    """Carries out whatever is asked for."""

    def checked(self, allocation: Tensor) -> Tensor:
        return allocation


class Roomy(Sound):
    """Calls what is beyond the bounds feasible."""

    def feasible(self, allocation: Tensor) -> Tensor:
        return allocation.isfinite().flatten(1).all(1)


class Mute(Sound):
    def checked(self, allocation: Tensor) -> Tensor:
        if not bool(self.feasible(allocation).all()):
            raise ValueError
        return allocation


class Stumbling(Sound):
    def ladder(self) -> Tensor:
        return torch.cat((torch.zeros(1, 1), super().ladder()))


class Climbing(Sound):
    def ladder(self) -> Tensor:
        return 2 * super().ladder()


@dataclass(frozen=True)
class FirstPulled(Pulled):
    def select(self, rows: Tensor | slice) -> Pulled:
        return replace(self, rise=self.rise[: len(self.rise[rows])])


class Confused(Sound):
    def at(self, pulls: Tensor) -> Pulled:
        return FirstPulled(self.rise(pulls))


@dataclass(frozen=True)
class TiledShown(Shown):
    def repeat(self, times: int) -> Shown:
        return replace(self, ads=self.ads * times, tilts=self.tilts.repeat(times))


class Tiled(SoundTexts):
    def after(self, counts: Tensor) -> Shown:
        shown = super().after(counts)
        return TiledShown(shown.ads, shown.tilts)


class Sharing(Sound):
    def stored(self) -> Stored:
        return Stored({}, {"gains": self.gains})


class Greedy(Sound):
    """Overwrites the allocation."""

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        change = super().change(allocation)
        allocation.mul_(0.5)
        return change


class Lasting(Sound):
    """A ladder that is its own memory."""

    def __init__(self, brands: tuple[Brand, ...] = BRANDS, gains: Tensor | None = None) -> None:
        super().__init__(brands, gains)
        self.rungs = super().ladder()

    def ladder(self) -> Tensor:
        return self.rungs


class Noisy(Sound):
    def at(self, pulls: Tensor) -> Pulled:
        return Pulled(self.rise(pulls) * (1 + torch.rand(1)))


class Counting(Sound):
    """Pulls more each time."""

    asked = 0

    def at(self, pulls: Tensor) -> Pulled:
        self.asked += 1
        return Pulled(self.rise(pulls) * (1 + 0.2 * (self.asked % 2)))


class Precise(Sound):
    """Does nothing in single precision."""

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        return super().change(allocation if allocation.dtype == torch.float64 else 0 * allocation)


class Forgetful(Sound):
    def __getstate__(self) -> dict[str, Any]:
        return {"brands": self.brands, "gains": 2 * self.gains}


class Silent(SoundTexts):
    """Ads that name nobody."""

    def after(self, counts: Tensor) -> Shown:
        return Shown(tuple(" Ad: new shoes." * bool(row.any()) for row in counts), torch.zeros(len(counts)))


class Swapped(SoundTexts):
    """Hints at the other brand."""

    def before(self, counts: Tensor) -> Framings:
        return super().before(counts.flip(1))


class Placed(Sound):
    """Pulls more for whoever comes first."""

    def rise(self, pulls: Tensor) -> Tensor:
        return super().rise(pulls * torch.tensor([1.0, 0.3])[: pulls.shape[1]])


@dataclass(frozen=True)
class Rounded(Pulled):
    """Touches the last bits of all rows."""

    def logits(self, own: Tensor, companions: Tensor, temperature: float, seen: Tensor | None) -> Tensor:
        return super().logits(own * (1 + 2e-7), companions, temperature, seen)


class Rough(Sound):
    def at(self, pulls: Tensor) -> Pulled:
        return Rounded(self.rise(pulls))


@dataclass(frozen=True)
class Stamped(Shown):
    def page(self, texts: Sequence[str], ad: str, tilt: float, number: float) -> ShownPage:
        page = super().page(texts, ad, tilt, number)
        return page._replace(text=page.text + "\n")


class Stamping(SoundTexts):
    def after(self, counts: Tensor) -> Shown:
        shown = super().after(counts)
        return Stamped(shown.ads, shown.tilts)


@dataclass(frozen=True)
class Crowded(Pulled):
    """Pulls each row by the mean of its batch, null rows left out."""

    def logits(self, own: Tensor, companions: Tensor, temperature: float, seen: Tensor | None) -> Tensor:
        rise = torch.where(self.null.unsqueeze(1), self.rise, self.rise.mean(0))
        return Pulled(rise).logits(own, companions, temperature, seen)


class Crowding(Sound):
    def at(self, pulls: Tensor) -> Pulled:
        return Crowded(self.rise(pulls))


@dataclass(frozen=True)
class Whole(Pulled):
    """Pulls twice as much where it sees a whole reply at once."""

    def logits(self, own: Tensor, companions: Tensor, temperature: float, seen: Tensor | None) -> Tensor:
        rise = self.rise * (1 if own.shape[1] == 1 else 3)
        return Pulled(rise).logits(own, companions, temperature, seen)


class OutOfStep(Sound):
    def at(self, pulls: Tensor) -> Pulled:
        return Whole(self.rise(pulls))


class Leaving(SoundInside):
    cleans = staticmethod(lambda handle: None)


@dataclass(frozen=True)
class Careless(Added):
    """Takes its hook away unless something fails."""

    def applied(self, model: Any) -> Any:
        return _Careless(self, model)


class _Careless:
    def __init__(self, added: Added, model: Any) -> None:
        self.added, self.head = added, model.network.get_output_embeddings()

    def __enter__(self) -> Added:
        force = replace(self.added)
        self.handle = self.head.register_forward_pre_hook(lambda _, inputs: (inputs[0] + force.shift.unsqueeze(1),))
        return force

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.handle.remove()


class Fragile(SoundInside):
    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        change = super().change(allocation)
        return replace(change, inside=Careless(change.inside.shift))  # type: ignore[union-attr]


class Wearing(SoundInside):
    """Changes the model's weights for good."""

    @staticmethod
    def cleans(handle: Any) -> None:
        handle.remove()
        WORN.network.get_output_embeddings().weight.data.view(-1)[7:8] += 2.0**-20  # type: ignore[operator]


@dataclass(frozen=True)
class Boastful(Shown):
    def nats(self, tilt: float) -> float:
        return 2 * tilt


class Boasting(SoundChoice):
    def after(self, pulls: Tensor) -> Shown:
        shown = super().after(pulls)
        return Boastful(shown.ads, shown.tilts, candidates=2)


class Unaware(SoundChoice):
    without = ()


class Certain(Sound):
    """Gives the pulled tokens all of the probability where it pulls hardest, so that one may be impossible."""

    def rise(self, pulls: Tensor) -> Tensor:
        return torch.where(super().rise(pulls) > 2.9, torch.nan, super().rise(pulls))


class Stepped(Sound):
    def rise(self, pulls: Tensor) -> Tensor:
        return super().rise(3 * (pulls / 3).round())


class SteppedPages(SoundChoice):
    def after(self, pulls: Tensor) -> Shown:
        return super().after(3 * (pulls > 1.1).float())


class Halves(Sound):
    """Pulls half as far where the second of two levers is at its null."""

    levers = (Lever("pull", 0.0, 3.0, 0.0), Lever("reach", 0.0, 1.0, 0.0))

    def change(self, allocation: Tensor, context: Tensor | None = None) -> Change:
        x = self.checked(allocation).float()
        return Change(len(x), at=self.at(x[:, :, 0] * (1 + x[:, :, 1]) / 2))

    def ladder(self) -> Tensor:
        return torch.tensor([[1.0, 1.0], [3.0, 1.0]])


def forgetting(brands: tuple[Brand, ...], stored: Stored) -> Carrier:
    return Sound(brands, stored.array("gains", (len(brands),)) + 1)


BROKEN: list[tuple[str, Sound, str]] = [
    ("declared", Misspelt(), r"whole names \['slots'\], the levers are"),
    ("declared", Endless(), "pull must have low <= null <= high, finite"),
    ("declared", Odd(), r"without names \['charm'\], which are no readings"),
    ("declared", OneRow(), "2 allocations make a change of 1 rows"),
    ("declared", Sound((BRANDS[0], BRANDS[0])), r"brands must be at least one and differ"),
    ("feasible", Anything(), "is carried out: pull is above its highest"),
    ("feasible", Roomy(), "is feasible: pull is above its highest"),
    ("feasible", Mute(), "gets no sentence"),
    ("one_at_null", Halves(), "reach at its null moves something"),
    ("ladder", Stumbling(), "the rung 0.00 of Nike alone changes nothing"),
    ("ladder", Climbing(), "the rung 4.00 is not feasible for Nike alone"),
    ("select", Confused(), "select by a slice"),
    ("repeat", Tiled(), "repeat and change do not commute"),
    ("own_memory", Sharing(), r"overwriting what stored\(\) returned changes the carrier"),
    ("own_memory", Greedy(), "change overwrites the allocation"),
    ("own_memory", Lasting(), r"overwriting what ladder\(\) returned changes the ladder"),
    ("deterministic", Noisy(), "making a change moves a global generator"),
    ("deterministic", Counting(), "the same allocation makes one change, and then another"),
    ("deterministic", Precise(), "in single precision an allocation makes another change"),
    ("kept", Sound(), "made again from its file its digest is"),
    ("copies", Forgetful(), "pickled its digest is"),
    ("names_its_brand", Silent(), "show an ad of another: ' Ad: new shoes.'"),
    ("names_its_brand", Swapped(), "add text that names it nowhere"),
    ("brands_in_order", Placed(), "brands in the other order are moved otherwise"),
    ("null_exact", Rough(), "a null row's logits are not those after its own prompt to the bit"),
    ("null_exact", Stamping(), "a null row shows"),
    ("rows_apart", Crowding(), "has another law alone than in a batch of"),
    ("lockstep", OutOfStep(), "is not what .* draws from the law that scores it"),
    ("hooks_gone", Leaving(), "after decoding hooks are on lm_head _forward_pre_hooks"),
    ("hooks_gone", Fragile(), "after a failure while it is in force hooks are on lm_head _forward_pre_hooks"),
    ("hooks_gone", Wearing(), "after decoding weights are changed: lm_head.weight"),
    ("divergences", Boasting(), r"the divergence of one reply of 2 must lie in \[0, 0.693"),
    ("divergences", Certain(), "KL to the untouched law must be finite"),
    ("readings", Unaware(), "of one reply among 2 intent has no meaning"),
    ("continuity", Stepped(), "pull jumps between"),
    ("continuity", SteppedPages(), "pull jumps between 1.0"),
]


@pytest.mark.parametrize(("name", "broken", "sentence"), BROKEN)
def test_each_check_catches_what_breaks_it(name: str, broken: Sound, sentence: str) -> None:
    model = WORN if isinstance(broken, Wearing) else MODEL
    if isinstance(broken, Leaving | Fragile):  # they spoil the model that they are tried on
        model = fake_language_model()
    kind = type(broken)
    makes_it = forgetting if name == "kept" else makes(kind)
    turned = kind(broken.brands[::-1])
    checks = {check.name: check for check in carrier_checks(broken, model, made=makes_it, turned=turned, examples=12)}
    with pytest.raises(BrokenClaimError, match=f"^{name}: .*{sentence}"):
        checks[name]()


def test_every_check_has_a_broken_example() -> None:
    names = [check.name for check in carrier_checks(Sound(), MODEL, made=makes(Sound), turned=Sound(BRANDS[::-1]))]
    assert {name for name, *_ in BROKEN} == set(names)
    without = [check.name for check in carrier_checks(Sound(), MODEL, made=makes(Sound))]
    assert without == [name for name in names if name != "brands_in_order"]
