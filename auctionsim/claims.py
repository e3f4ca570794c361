"""Which claims of an object are in force: a claim belongs to the class that made it, and to nothing changed since.

A class may claim what no evaluator can check cheaply: a proof of truthfulness, a closed form, breakpoints, a Lipschitz
constant, an exact argmax, levers that do not touch each other. Python inherits a claim together with the methods that
it is about, and goes on inheriting it when a subclass replaces those methods. So a claim counts only

- where it is found in the object's own class, its bases or the object itself: never through `__getattr__`, by which a
  wrapper passes on what it wraps;
- where no class below the one that made it replaces anything that it had: a method, a hook, a property, a constant. A
  constructor, names for printing and comparing, and what is new to the family are no such change; nor is the first
  writing of a method that the claiming class left abstract;
- where no method has been replaced on the object by an attribute of its own.

Whoever changes the rule and can still prove it makes the claim anew, in the class that changes it. Being careful costs
a search where a proof would have done; being careless costs a number that is wrong.
"""

import types
from collections import Counter
from typing import Any

HARMLESS = frozenset(
    [
        "__init__",
        "__post_init__",
        "__new__",
        "__init_subclass__",
        "__class_getitem__",
        "__subclasshook__",
        "__doc__",
        "__module__",
        "__qualname__",
        "__annotations__",
        "__annotate__",
        "__dict__",
        "__weakref__",
        "__slots__",
        "__slotnames__",  # what copying and pickling leave on a class
        "__match_args__",
        "__orig_bases__",
        "__parameters__",
        "__type_params__",
        "__abstractmethods__",
        "_abc_impl",
        "__firstlineno__",
        "__static_attributes__",
        "__dataclass_fields__",
        "__dataclass_params__",
        "__replace__",
        "__setattr__",
        "__delattr__",
        "__repr__",
        "__str__",
        "__format__",
        "__eq__",
        "__ne__",
        "__hash__",
        "__reduce__",
        "__reduce_ex__",
        "__getstate__",
        "__setstate__",
        "__copy__",
        "__deepcopy__",
        "__sizeof__",
        "__dir__",
        "__getattr__",
    ]
)
"""What a subclass may have of its own without a change to what it does."""

CLAIMS = ("dsic_proof", "bic_proof", "own_bid_breakpoints", "own_bid_lipschitz", "is_anonymous", "price_sentence")
"""What a mechanism may say of itself for evaluators to believe. None of them voids another."""


def claimed(owner: object, name: str) -> Any | None:
    """Return the attribute `name` if `owner` claims it and the claim is in force, else None."""
    if name in _own(owner):
        return _own(owner)[name]
    if not in_force(type(owner), name) or _replaced_on(owner):
        return None
    return getattr(owner, name)


def declared(owner: object, name: str, otherwise: Any) -> Any:
    """Return what an object says of itself by an attribute of its own or of its class, else what holds otherwise.

    This is how a plain function or a class of somebody's own, which inherits from none of ours, declares a member of a
    protocol (`mechanism.draws = True`). What a wrapper passes on by `__getattr__` is no declaration of its own.
    """
    if name in _own(owner):
        return _own(owner)[name]
    return otherwise if source_of(type(owner), name) is None else getattr(owner, name)


def in_force(kind: type, name: str) -> bool:
    """Tell whether a class has `name`, and nothing replaced below the class that it comes from."""
    source = source_of(kind, name)
    return source is not None and not _replaced_below(kind, source)


def source_of(kind: type, name: str) -> type | None:
    """Return the class that `name` comes from, or None where no class has it."""
    return next((one for one in kind.__mro__ if name in vars(one)), None)


def behaves_as(owner: object, *kinds: type) -> bool:
    """Tell whether an object is of one of these classes and does what that class does: nothing of it is replaced."""
    return any(
        isinstance(owner, kind) and not _replaced_below(type(owner), kind) and not _replaced_on(owner) for kind in kinds
    )


def _replaced_below(kind: type, source: type) -> bool:
    """Tell whether a class between `kind` and `source` replaces what `source` has, of its own or from its bases."""
    if source not in kind.__mro__:
        return True
    place = kind.__mro__.index(source)
    had = {name for one in kind.__mro__[place:] for name in vars(one)} - HARMLESS.union(CLAIMS)
    written = Counter(name for one in kind.__mro__[:place] for name in vars(one) if name in had)
    left_open: frozenset[str] = getattr(source, "__abstractmethods__", frozenset())
    return any(times > (name in left_open) for name, times in written.items())


def _replaced_on(owner: object) -> bool:
    """Tell whether an attribute of the object itself stands before a method of its class."""
    methods = (types.FunctionType, staticmethod, classmethod)
    for name in _own(owner):
        source = None if name in HARMLESS or name in CLAIMS else source_of(type(owner), name)
        if source is not None and isinstance(vars(source)[name], methods):
            return True
    return False


def _own(owner: object) -> dict[str, Any]:
    own: dict[str, Any] = getattr(owner, "__dict__", {}) if not isinstance(owner, type) else {}
    return own
