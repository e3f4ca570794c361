"""Inputs whose structure is kept and whose values are bent: the mutations that the fuzz draws from."""

import copy
import json
import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

NUMBERS = (0, -1, 1, 2, 7, 2**31, -(2**31) - 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**30, 10**400, 0.5, -0.5, 1e-320)
NUMBERS += (1e308, -1e308, math.nan, math.inf, -math.inf, 3.0, True, False)
TEXTS = (
    "",
    " ",
    "x",
    "0",
    "nan",
    "1e400",
    "../../escape",
    "/etc/passwd",
    "\0",
    "a\nb",
    "é",
    "e\u0301",
    "\ud800",
    "=1+1",
)
TEXTS += ("x" * 5000, "Nike", "[", "{}", "\u202eabc", "None")
OTHERS: tuple[Any, ...] = (None, [], {}, [None], [[]], {"x": 1}, [0], ["x"])


def deep(levels: int = 100_000) -> str:
    """Return JSON that is nested deeper than anybody reads."""
    return "[" * levels + "]" * levels


def value(draw: random.Random) -> Any:
    """Return a value of any kind."""
    return copy.deepcopy(draw.choice((*NUMBERS, *TEXTS, *OTHERS)))


def places(structure: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every node."""
    yield path
    if isinstance(structure, (dict, list)):
        children = structure.items() if isinstance(structure, dict) else enumerate(structure)
        for key, child in children:
            yield from places(child, (*path, key))


def bent(structure: Any, draw: random.Random) -> Any:
    """Return a copy with one node, sometimes a few, bent."""
    made = copy.deepcopy(structure)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        made = _bent_once(made, draw)
    return made


def _bent_once(structure: Any, draw: random.Random) -> Any:
    listed = list(places(structure))
    # a place high up as often as one deep down, else only the longest lists are ever bent
    depth = draw.choice(sorted({len(path) for path in listed}))
    path = draw.choice([one for one in listed if len(one) == depth])
    if not path:
        return value(draw) if draw.random() < 0.2 else structure
    owner = structure
    for key in path[:-1]:
        owner = owner[key]
    key, there = path[-1], owner[path[-1]]
    match draw.randrange(8):
        case 0 if isinstance(owner, dict):
            del owner[key]
        case 1 if isinstance(owner, dict):
            owner[draw.choice(("more", *TEXTS[1:3], str(key) + "s"))] = owner.pop(key)
        case 0 | 1:
            del owner[key]
        case 2 if isinstance(there, list):
            owner[key] = there * draw.choice((0, 2, 3)) if draw.random() < 0.7 else there[: len(there) // 2]
        case 3 if isinstance(there, (int, float)) and not isinstance(there, bool):
            owner[key] = draw.choice((there + 1, -there, there * 1000, there / 3, str(there), [there], bool(there)))
        case 4 if isinstance(there, str):
            owner[key] = draw.choice((there + "x", there[:-1], there.upper(), [there], there * 50))
        case 5:
            other = draw.choice([one for one in places(structure) if one] or [path])
            source = structure
            for step in other:
                source = source[step]
            owner[key] = copy.deepcopy(source)
        case _:
            owner[key] = value(draw)
    return structure


DTYPES = (torch.float32, torch.float64, torch.float16, torch.int64, torch.int32, torch.bool, torch.uint8)


def bent_tensor(array: Tensor, draw: random.Random) -> Tensor:
    """Return a tensor like the given one, with its numbers, dtype or shape bent."""
    changes: list[Callable[[], Tensor]] = [
        lambda: _replaced(array, draw),
        lambda: _replaced(array, draw),
        lambda: array.to(draw.choice(DTYPES)),
        lambda: array.unsqueeze(draw.randrange(array.ndim + 1)),
        array.flatten,
        lambda: array[..., :0] if array.ndim else array,
        lambda: array[:0] if array.ndim else array,
        lambda: array[: max(len(array) // 2, 1)] if array.ndim else array,
        lambda: torch.cat([array, array]) if array.ndim else array,
        lambda: array.transpose(0, -1) if array.ndim > 1 else array,
        lambda: array.flip(0) if array.ndim else array,
        lambda: -array if array.dtype != torch.bool else ~array,
        lambda: array * draw.choice((0, 2, 1000)),
        array.squeeze,
        lambda: torch.zeros(draw.choice(((), (0,), (1,), (3, 3), (1, 1, 1, 1)))),
    ]
    return draw.choice(changes)().clone()


def _replaced(array: Tensor, draw: random.Random) -> Tensor:
    made = array.clone()
    if made.numel():
        wholes = (-1, 0, 1, 2**62, -(2**62), 10**6)
        reals = (math.nan, math.inf, -math.inf, -1.0, 0.0, 1e300, 1e-320, 2.0)
        flat = made.view(-1) if made.is_contiguous() else made.reshape(-1)
        number = draw.choice(reals if made.is_floating_point() else wholes)
        if made.is_floating_point() and abs(number) < math.inf:
            number = max(min(number, torch.finfo(made.dtype).max), torch.finfo(made.dtype).min)
        elif made.dtype != torch.bool and not made.is_floating_point():
            number = max(min(number, torch.iinfo(made.dtype).max), torch.iinfo(made.dtype).min)
        flat[draw.randrange(len(flat))] = bool(number) if made.dtype == torch.bool else number
        return flat.view(made.shape)
    return made


def bent_bytes(data: bytes, draw: random.Random) -> bytes:
    """Return bytes cut, flipped, doubled or with others in between."""
    place = draw.randrange(len(data) + 1)
    match draw.randrange(6):
        case 0:
            return data[:place]
        case 1 if data:
            place = draw.randrange(len(data))
            return data[:place] + bytes([data[place] ^ (1 << draw.randrange(8))]) + data[place + 1 :]
        case 2:
            return data[:place] + draw.randbytes(draw.choice((1, 8, 64))) + data[place:]
        case 3:
            return data[:place] + data[place + draw.choice((1, 8, 64)) :]
        case 4 if data:
            start = draw.randrange(len(data))
            return data[:start] + draw.randbytes(min(8, len(data) - start)) + data[start + 8 :]
    return data + data


def written(structure: Any, draw: random.Random) -> bytes:
    """Return a structure as JSON, now and then with what only a stranger's writer makes."""
    text = json.dumps(structure)
    match draw.randrange(24):
        case 0:
            text = text.replace("1", "1e400", 1)
        case 1:
            text = text.replace("1", "9" * 5000, 1)
        case 2:
            text = text.replace("{", '{"twice": 1, "twice": 2, ', 1)
        case 3:
            text = text.replace("[", deep(draw.choice((80, 2000, 100_000))) + "[", 1)
        case 4:
            text = "\ufeff" + text
        case 5:
            return text.encode("utf-16")
        case 6:
            return bent_bytes(text.encode(), draw)
        case 7:
            text = deep()
    return text.encode("utf-8", "surrogatepass")
