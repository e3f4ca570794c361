"""Croissant metadata: what a data set's files and columns are, as JSON-LD that loaders of data sets read.

The form is version 1.0 of MLCommons' specification, <http://mlcommons.org/croissant/1.0>: schema.org's Dataset with a
distribution of files, each with its SHA-256, and record sets whose fields are columns of those files.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from auctionsim.errors import InputError
from auctionsim.files import write_text

VERSION = "http://mlcommons.org/croissant/1.0"
FILE = "croissant.json"
PARQUET = "application/x-parquet"
TYPES = {"text": "sc:Text", "whole": "sc:Integer", "number": "sc:Float", "flag": "sc:Boolean"}
"""From the kinds of columns to schema.org's."""
_TERMS = (
    "citeAs column extract field fileProperty fileObject fileSet format includes isLiveDataset jsonPath key md5 "
    "parentField path recordSet references regex repeated replace separator source subField transform"
)


class TableField(NamedTuple):
    """A column of a file.

    Attributes:
        kind: One of `TYPES`.
        meaning: With its unit, for a stranger.
    """

    kind: str
    meaning: str


class TableFile(NamedTuple):
    """A parquet file of a data set, and what its columns are.

    Attributes:
        name: Of the file, in the folder of the metadata; without its suffix the name of the record set.
        description: One row is what.
        columns: By name, in order.
        key: Columns that together tell rows apart.
    """

    name: str
    description: str
    columns: Mapping[str, TableField]
    key: tuple[str, ...]


class DataSet(NamedTuple):
    """What a data set says of itself.

    Attributes:
        name: Of the data set, without spaces.
        description: A sentence or two.
        version: Of the program that made it, three numbers.
        published: The day, as 2026-11-27.
        license: Its name by SPDX, or an address.
        url: Of a page about it; relative to the metadata, or whole.
        creator: Who made it.
        cite_as: How it is cited.
        files: Its tables.
    """

    name: str
    description: str
    version: str
    published: str
    license: str
    url: str
    creator: str
    cite_as: str
    files: tuple[TableFile, ...]


def write_croissant(folder: Path, data: DataSet) -> Path:
    """Write the metadata of files that lie in a folder, beside them.

    Args:
        folder: That holds every file of the data set.
        data: The data set.
    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A column's kind is unknown, a key is no column, or the file has other columns than are described.
    """
    files = [_file(folder, one) for one in data.files]
    whole = {
        "@context": _context(),
        "@type": "sc:Dataset",
        "conformsTo": VERSION,
        "name": data.name,
        "description": data.description,
        "version": data.version,
        "datePublished": data.published,
        "license": data.license,
        "url": data.url,
        "creator": {"@type": "sc:Organization", "name": data.creator},
        "citeAs": data.cite_as,
        "distribution": files,
        "recordSet": [_records(one) for one in data.files],
    }
    path = folder / FILE
    write_text(path, json.dumps(whole, indent=2, ensure_ascii=False))
    return path


def _context() -> dict[str, Any]:
    """Return the terms of version 1.0, as its specification sets them."""
    return {
        "@language": "en",
        "@vocab": "https://schema.org/",
        "sc": "https://schema.org/",
        "cr": "http://mlcommons.org/croissant/",
        "dct": "http://purl.org/dc/terms/",
        "conformsTo": "dct:conformsTo",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "examples": {"@id": "cr:examples", "@type": "@json"},
        **{term: f"cr:{term}" for term in _TERMS.split()},
    }


def _file(folder: Path, one: TableFile) -> dict[str, Any]:
    import pyarrow.parquet as pq

    path = folder / one.name
    there = pq.read_schema(path).names
    if there != list(one.columns):
        raise InputError(f"{path} has the columns {', '.join(there)}, described are {', '.join(one.columns)}")
    strangers = [name for name in one.key if name not in one.columns]
    if strangers:
        raise InputError(f"{one.name}: the key {strangers[0]!r} is no column")
    return {
        "@type": "cr:FileObject",
        "@id": one.name,
        "name": one.name,
        "description": one.description,
        "contentUrl": one.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": PARQUET,
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _records(one: TableFile) -> dict[str, Any]:
    name = one.name.removesuffix(".parquet")
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": one.description,
        "key": [{"@id": f"{name}/{column}"} for column in one.key],
        "field": [_field(one, name, column) for column in one.columns],
    }


def _field(one: TableFile, records: str, column: str) -> dict[str, Any]:
    about = one.columns[column]
    if about.kind not in TYPES:
        raise InputError(f"a column's kind must be one of {', '.join(TYPES)}, got {about.kind!r}")
    return {
        "@type": "cr:Field",
        "@id": f"{records}/{column}",
        "name": column,
        "description": about.meaning,
        "dataType": TYPES[about.kind],
        "source": {"fileObject": {"@id": one.name}, "extract": {"column": column}},
    }
