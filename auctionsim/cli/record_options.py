"""A command's options made from the fields of settings records: one place for name, type, default and what it means.

A record (a frozen dataclass or a NamedTuple) is read from its source, not imported: help must not load torch. What an
option says is the field's entry under "Attributes:"; its default is the field's. So a field that is added is a flag at
once, and whatever the run keeps of the record has it too. A field that no flag can hold must be named in `without`, or
the command is not made. `tests/cli/test_defaults.py` holds what is read here against the imported records.
"""

import ast
import functools
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NamedTuple, TypeVar, Union

import typer

from auctionsim.errors import InputError, InputTypeError

Command = TypeVar("Command", bound=Callable[..., None])
Kept = TypeVar("Kept")

_NO_DEFAULT = inspect.Parameter.empty
_KINDS: Mapping[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "Path": Path,
    "tuple[float, ...]": str,
    "tuple[int, ...]": str,
    "tuple[str, ...]": str,
}
"""What a flag takes for a field's type; several values are one text, separated by commas."""


class RecordField(NamedTuple):
    """A field of a record, as its source has it.

    Attributes:
        name: The field's.
        kind: Its type, as written.
        default: Its default, if that is written out; else `inspect.Parameter.empty`.
        meaning: Its entry under "Attributes:".
    """

    name: str
    kind: str
    default: Any
    meaning: str


@dataclass(frozen=True)
class RecordOptions:
    """A record whose fields are options of a command.

    Attributes:
        module: Where the record is.
        record: Its class.
        without: Fields that are no options.
        own: By field, an option that is shared with other commands, or what typer is told of it besides, as its limits.
        defaults: Defaults that the source does not write out, or that differ on purpose, by field.
    """

    module: str
    record: str
    without: tuple[str, ...] = ()
    own: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fields(self) -> tuple[RecordField, ...]:
        """The fields that are options, in the record's order.

        Raises:
            ValueError: A name in `without`, `own` or `defaults` that is no field.
        """
        every = record_fields(self.module, self.record)
        named = {*self.without, *self.own, *self.defaults}
        strange = sorted(named - {one.name for one in every})
        if strange:
            raise InputError(f"{self.record} has no field {strange[0]!r}")
        return tuple(one for one in every if one.name not in self.without)

    def parameters(self) -> list[inspect.Parameter]:
        """Return the command's parameters, one an option."""
        return [self._parameter(one) for one in self.fields]

    def _parameter(self, one: RecordField) -> inspect.Parameter:
        default = self.defaults.get(one.name, one.default)
        annotation = self.own.get(one.name, {})
        if isinstance(annotation, dict):  # more about the option, such as its limits
            names = (f"--{one.name.replace('_', '-')}",) if default is False else ()  # no flag that turns it off
            about = {"help": _with_commas(one), **annotation}
            annotation = Annotated[_flag_type(self.record, one), typer.Option(*names, **about)]
        return inspect.Parameter(
            one.name, inspect.Parameter.KEYWORD_ONLY, default=_as_text(default), annotation=annotation
        )


class ChosenRecords:
    """The options of a command as they were typed, from which its records are made.

    Args:
        values: By field.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = dict(values)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def make(self, record: Callable[..., Kept], more: Mapping[str, Any] | None = None) -> Kept:
        """Return a record of the chosen values.

        Args:
            record: Its class.
            more: Fields that are no options, or are not taken as they were typed.
        Raises:
            TypeError, ValueError: What the record refuses; several values that are not written as such.
        """
        hints = inspect.get_annotations(record, eval_str=False)
        own = {name: _as_field(self.values[name], hints[name]) for name in hints if name in self.values}
        return record(**{**own, **(more or {})})


def options_from(*records: RecordOptions) -> Callable[[Command], Command]:
    """Return a decorator: the command's parameter `chosen` is given by options, those of the records.

    Raises:
        TypeError: Two records have an option of one name.
    """

    def decorate(command: Command) -> Command:
        whole = inspect.signature(command)
        named = {one.name: one for one in whole.parameters.values() if one.name != "chosen"}
        chosen: dict[str, inspect.Parameter] = {}
        for parameter in (one for options in records for one in options.parameters()):
            if parameter.name in named or parameter.name in chosen:
                raise InputTypeError(f"{command.__name__}: two options are called {parameter.name!r}")
            chosen[parameter.name] = parameter

        @functools.wraps(command)
        def with_options(**typed: Any) -> None:
            values = {name: typed.pop(name) for name in chosen}
            command(**typed, chosen=ChosenRecords(values))

        every = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*named.values(), *chosen.values())]
        with_options.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
        with_options.__annotations__ = {one.name: one.annotation for one in every} | {"return": None}
        return with_options  # type: ignore[return-value]

    return decorate


@functools.cache
def record_fields(module: str, record: str) -> tuple[RecordField, ...]:
    """Return a record's fields, read from its source.

    Raises:
        ValueError: No such class, or a field that its docstring does not explain.
    """
    source = source_of(module)
    tree = ast.parse(source.read_text(encoding="utf-8"))
    definition = next((one for one in tree.body if isinstance(one, ast.ClassDef) and one.name == record), None)
    if definition is None:
        raise InputError(f"{source} has no class {record}")
    meanings = attributes_of(ast.get_docstring(definition) or "")
    fields = []
    for one in definition.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            name = one.target.id
            if name not in meanings:
                raise InputError(f"{source}: {record} does not say what {name!r} is")
            fields.append(RecordField(name, ast.unparse(one.annotation), _literal(one.value), meanings[name]))
    return tuple(fields)


def source_of(module: str) -> Path:
    """Return a module's file without importing it: of its packages only the first, and those above the last two.

    Raises:
        ValueError: There is none.
    """
    top, *rest = module.split(".")
    spec = importlib.util.find_spec(".".join((top, rest[0])) if rest else top)
    if spec is None:
        raise InputError(f"there is no module {module}")
    if len(rest) < 2:
        return Path(str(spec.origin))
    for place in spec.submodule_search_locations or ():
        path = Path(place).joinpath(*rest[1:]).with_suffix(".py")
        if path.is_file():
            return path
    raise InputError(f"there is no module {module}")


def attributes_of(docstring: str) -> dict[str, str]:
    """Return what a docstring's "Attributes:" say of each, on one line.

    Example:
        >>> attributes_of("What.\\n\\nAttributes:\\n    seed: Of all that\\n        is drawn.")
        {'seed': 'Of all that is drawn.'}
    """
    _, _, listed = inspect.cleandoc(docstring).partition("Attributes:\n")
    meanings: dict[str, str] = {}
    name = ""
    for line in listed.splitlines():
        if not line.startswith("    "):
            break
        entry = line[4:]
        if entry.startswith(" "):
            meanings[name] += " " + entry.strip()
        else:
            name, _, meaning = entry.partition(":")
            meanings[name] = meaning.strip()
    return meanings


def _flag_type(record: str, one: RecordField) -> Any:
    kind, _, rest = one.kind.partition(" | ")
    if kind not in _KINDS or rest not in ("", "None"):
        raise InputError(f"no flag can hold {record}.{one.name}, a {one.kind}: leave it out, or write its option out")
    return Union[_KINDS[kind], None] if rest else _KINDS[kind]  # noqa: UP007  # a type made at run time


def _with_commas(one: RecordField) -> str:
    return f"{one.meaning} Separated by commas." if one.kind.startswith("tuple[") else one.meaning


def _literal(value: ast.expr | None) -> Any:
    if value is None:
        return _NO_DEFAULT
    try:
        return ast.literal_eval(value)
    except ValueError:
        return _NO_DEFAULT


def _as_text(default: Any) -> Any:
    """Return a default as a flag takes it: several values as one text."""
    if not isinstance(default, tuple):
        return default
    return ",".join(f"{one:g}" if isinstance(one, float) else str(one) for one in default)


def _as_field(value: Any, kind: Any) -> Any:
    from auctionsim.cli.options import numbers, whole_numbers

    annotation = kind if isinstance(kind, str) else str(kind)
    if not isinstance(value, str) or not annotation.startswith("tuple["):
        return value
    if "float" in annotation:
        return numbers(value)
    return whole_numbers(value) if "int" in annotation else tuple(part.strip() for part in value.split(",") if part)
