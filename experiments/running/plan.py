"""What a run is known by: what of its settings differs from the defaults, what it reads, which packages compute it.

A settings field that is added with a default is in no plan that keeps to it, so folders of before stay usable. A
default, once released, does not change: a new meaning gets a new name, or `FORMAT` a new number
(`tests/experiments/test_plans.py` holds the defaults). Format 2 wrote every field out, and this package's own version;
what it called a run that format 2 knew is worked out here, and found again.
"""

from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from typing import Any, NamedTuple

from auctionsim.kept import differing, key_digest, plain

FORMAT = 3  # of a run's plan and of what is kept under it: it changes when what the same settings compute does
WHERE = "folder"  # the setting that decides no number
RENAMED = {"KeptBrandSets": "KeptMarkets"}
"""What settings were called when plans were first kept, by today's name: a plan names its kind."""
OF_FORMAT_2 = "0.1.0"  # this package's version, which format 2 held to decide numbers
FORMAT_2 = {
    "CompareMethodsSettings": "brand_sets=markets methods folder grid amplification validation_prompts reply_prompts "
    "samples seed",
    "CrosstalkSettings": "brand_sets=markets folder num_neurons amplification samples method seed",
    "Cluster": "cpus_per_trial cpus address trust_pickles",
    "FrontierSettings": "num_neurons amplification limits",  # of a grid
    "KeptMarkets": "names folder",
    "MapSettings": "surface folder features written",
    "MeasurementSettings": "num_neurons amplification samples max_new_tokens temperature top_p seed rows mode "
    "positions leads half_width interval confidence min_replies max_replies",
    "TuningSettings": "target folder steps trials seed surface feature prior user_weight setting draws regret_draws "
    "reduction grace concurrent cluster",
}
"""The fields that format 2 knew of each record, by the record's name then; "now=then" where one was renamed. Studies
that compare mechanisms are not here: the table of mechanisms trains them by other recipes, so what was kept of them
then is another run.
"""


class Plan(NamedTuple):
    """The names under which a run may be kept.

    Attributes:
        digest: Its name.
        earlier: What earlier formats called the same run.
    """

    digest: str
    earlier: tuple[str, ...] = ()

    def is_of(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a run.json is of this run."""
        return record.get("plan") in (self.digest, *self.earlier)


def plan_of(settings: Any, inputs: Mapping[str, str], versions: Mapping[str, str]) -> Plan:
    """Return the plan of a run.

    Args:
        settings: A frozen dataclass of what decides the numbers, a `folder` among it left out.
        inputs: Digests of what is read.
        versions: Of the packages that compute.
    """
    kind = kind_of(type(settings))
    own = {name: version for name, version in versions.items() if name != "auctionsim"}
    chosen = identity(settings)
    digest = key_digest({"format": FORMAT, "kind": kind, "versions": own, "settings": chosen, "inputs": dict(inputs)})
    then = as_format_2(settings)
    if then is None:
        return Plan(digest)
    key = {"format": 2, "kind": kind, "versions": {**versions, "auctionsim": OF_FORMAT_2}}
    return Plan(digest, (key_digest({**key, "settings": then, "inputs": dict(inputs)}),))


def kind_of(record: type) -> str:
    """Return the name that plans call a settings record by."""
    return RENAMED.get(record.__name__, record.__name__)


def identity(settings: Any) -> dict[str, Any]:
    """Return what of a record differs from its defaults, its folder left out."""
    chosen = {name: value for name, value in asdict(settings).items() if name != WHERE}
    return differing(chosen, defaults_of(type(settings), settings))


def defaults_of(record: type, like: Any = None) -> dict[str, Any]:
    """Return a record's defaults as JSON has them, those of the records inside it too.

    Args:
        record: A dataclass.
        like: One of them: where a field without a default holds a record, that record's own defaults count.
    """
    found: dict[str, Any] = {}
    for one in fields(record):
        default: Any = _default(one)
        inside = getattr(like, one.name, None)
        if default is MISSING and is_dataclass(inside) and not isinstance(inside, type):
            found[one.name] = defaults_of(type(inside), inside)
        elif default is not MISSING:
            is_record = is_dataclass(default) and not isinstance(default, type)
            found[one.name] = asdict(default) if is_record else default
    return plain(found)


def as_format_2(settings: Any) -> dict[str, Any] | None:
    """Return the settings as format 2 wrote them; None where it could not have: it did not know what is chosen."""
    listed = FORMAT_2.get(kind_of(type(settings)))
    if listed is None:
        return None
    names = [part.partition("=") for part in listed.split()]
    known = {now: before or now for now, _, before in names}
    then: dict[str, Any] = {}
    for one in fields(settings):
        value = getattr(settings, one.name)
        if one.name not in known:
            if value != _default(one):
                return None
        elif is_dataclass(value):
            inside = as_format_2(value)
            if inside is None:
                return None
            then[known[one.name]] = inside
        elif one.name != WHERE:
            then[known[one.name]] = asdict(settings)[one.name]
    return then


def _default(one: "Field[Any]") -> Any:
    if one.default_factory is not MISSING:
        return one.default_factory()
    return one.default
