"""Functions that take records, called with the records' fields as keywords.

A long list of settings is one frozen record: named, documented and checked in one place. Some callers write its fields
one by one: `gymnasium.make` passes keywords on, a command line has flags. `fields_as_keywords` gives a function the
signature that they see, the fields in place of the record. A name that neither has is refused with the names there are.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, NamedTuple, TypeVar, get_type_hints

from auctionsim.errors import InputTypeError

Answer = TypeVar("Answer")


class RecordParameter(NamedTuple):
    """A function's parameter that is a record.

    Attributes:
        name: The parameter's.
        record: Its class, a dataclass.
        fields: Names of what its constructor takes.
    """

    name: str
    record: type
    fields: tuple[str, ...]


def fields_as_keywords(*names: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Return a decorator: the named parameters, all dataclasses, are given by their fields as keywords.

    Args:
        *names: Parameters that are annotated with a dataclass; the fields of no two may share a name.
    Raises:
        TypeError: An annotation that is no dataclass, or a name that stands for two things.
    Example:
        >>> from dataclasses import dataclass
        >>> @dataclass(frozen=True)
        ... class Length:
        ...     rounds: int = 16
        >>> @fields_as_keywords("length")
        ... def play(rule: str, *, length: Length) -> str:
        ...     return f"{length.rounds} rounds of {rule}"
        >>> play("first price", rounds=2)
        '2 rounds of first price'
    """

    def decorate(function: Callable[..., Answer]) -> Callable[..., Answer]:
        hints = function.__annotations__
        records = [RecordParameter(name, hints[name], record_fields(hints[name])) for name in names]
        signature = _signature(function, records)
        own = [name for name in signature.parameters if name != "self"]

        @functools.wraps(function)
        def with_records(*arguments: Any, **keywords: Any) -> Answer:
            for name in keywords:
                if name not in own:
                    raise InputTypeError(f"there is no option {name} of {_called(function)}: it takes {', '.join(own)}")
            for parameter in records:
                given = {name: keywords.pop(name) for name in parameter.fields if name in keywords}
                keywords[parameter.name] = parameter.record(**given)
            return function(*arguments, **keywords)

        with_records.__signature__ = signature  # type: ignore[attr-defined]
        with_records.__annotations__ = {
            **{name: one.annotation for name, one in signature.parameters.items() if name != "self"},
            "return": signature.return_annotation,
        }
        return with_records

    return decorate


def record_fields(record: type) -> tuple[str, ...]:
    """Return the names that a dataclass's constructor takes.

    Raises:
        TypeError: It is no dataclass.
    """
    if not (isinstance(record, type) and is_dataclass(record)):
        raise InputTypeError(f"a parameter that is given by fields must be annotated with a dataclass, got {record!r}")
    return tuple(field.name for field in fields(record) if field.init)


def keywords_of(record: Any) -> dict[str, Any]:
    """Return a record's fields as the keywords that would make it again; values are not copied."""
    return {name: getattr(record, name) for name in record_fields(type(record))}


def _signature(function: Callable[..., Any], records: list[RecordParameter]) -> inspect.Signature:
    """Return the function's signature with the fields of each record in the record's place, keywords all."""
    whole = inspect.signature(function)
    parameters: dict[str, inspect.Parameter] = {}
    for parameter in whole.parameters.values():
        record = next((one for one in records if one.name == parameter.name), None)
        for one in [parameter] if record is None else _field_parameters(record.record):
            if one.name in parameters:
                raise InputTypeError(f"{function.__qualname__}: {one.name!r} stands for two things")
            parameters[one.name] = one
    ordered = sorted(parameters.values(), key=lambda one: one.kind)
    return whole.replace(parameters=ordered)


def _field_parameters(record: type) -> list[inspect.Parameter]:
    hints = get_type_hints(record, include_extras=True)
    return [
        inspect.Parameter(
            field.name, inspect.Parameter.KEYWORD_ONLY, default=_default(field), annotation=hints[field.name]
        )
        for field in fields(record)
        if field.init
    ]


def _default(field: "Field[Any]") -> Any:
    if field.default is not MISSING:
        return field.default
    return inspect.Parameter.empty if field.default_factory is MISSING else field.default_factory()


def _called(function: Callable[..., Any]) -> str:
    return function.__qualname__.removesuffix(".__init__")
