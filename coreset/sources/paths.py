"""Paths, folders, globs and URIs of parquet files, on any filesystem that pyarrow reads."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

WILD = re.compile(r"[*?\[]")
SUFFIXES = (".parquet", ".pq")


def is_path(value: object) -> bool:
    """Whether a value names a file."""
    return isinstance(value, str | Path)


def find_files(path: str | Path) -> tuple[Any, list[str]]:
    """The filesystem of a path and the files that it stands for, sorted by name; only names are read.

    Parameters
    ----------
    path : str or Path
        A file; a folder, for the parquet files below it, but for those whose name or folder begins with "_" or "."; or
        a glob with ``*``, ``?``, ``[...]`` and ``**`` for any folders. A URI, such as
        ``s3://bucket/rows/*.parquet?region=us-west-2``, is read by the filesystem that pyarrow has for it; its ``?`` is
        no wildcard.

    Returns
    -------
    pyarrow.fs.FileSystem, list of str

    Raises
    ------
    FileNotFoundError
        When there is no such file, or no parquet file in the folder, or none that fits the glob.
    ValueError
        When the URI is one that pyarrow does not know.
    """
    from pyarrow import fs

    filesystem, inside = _filesystem(path)
    kind = filesystem.get_file_info(inside).type
    if kind == fs.FileType.File:  # also one whose name has brackets
        return filesystem, [inside]
    if WILD.search(inside):
        pattern, root = _as_pattern(inside), _folder_before_wildcards(inside)
        found = [file for file in _files_below(filesystem, root) if pattern.fullmatch(file)]
        missing = "no file fits it"
    else:
        found, missing = [], "there is no such file"
        if kind == fs.FileType.Directory:
            found = [file for file in _files_below(filesystem, inside) if _is_data(file, inside)]
            missing = f"there is no file in this folder that ends in {' or '.join(SUFFIXES)}"
    if not found:
        raise FileNotFoundError(f"X={str(path)!r}: {missing}")
    return filesystem, sorted(found)


def _filesystem(path: str | Path) -> tuple[Any, str]:
    import pyarrow as pa
    from pyarrow import fs

    text = str(path)
    if "://" not in text:
        # Absolute, since a worker's working folder is another one.
        return fs.LocalFileSystem(), os.path.abspath(os.path.expanduser(text)).replace(os.sep, "/")
    # Not all filesystems take wildcards in a URI, so that pyarrow sees the folder before them, and the query.
    whole, question, query = text.partition("?")
    scheme, _, rest = whole.partition("://")
    folder = _folder_before_wildcards(rest)
    try:
        filesystem, root = fs.FileSystem.from_uri(f"{scheme}://{folder}{question}{query}")
    except pa.ArrowInvalid as error:
        raise ValueError(f"X={text!r}: pyarrow has no filesystem for it: {error}") from error
    return filesystem, root.rstrip("/") + rest[len(folder) :]


def _folder_before_wildcards(path: str) -> str:
    first = WILD.search(path)
    return path[: path.rfind("/", 0, first.start())] if first else path


def _files_below(filesystem: Any, folder: str) -> list[str]:
    from pyarrow import fs

    selector = fs.FileSelector(folder or "/", recursive=True, allow_not_found=True)
    return [info.path for info in filesystem.get_file_info(selector) if info.type == fs.FileType.File]


def _is_data(path: str, folder: str) -> bool:
    parts = path[len(folder) :].strip("/").split("/")
    return path.lower().endswith(SUFFIXES) and not any(part.startswith(("_", ".")) for part in parts)


def _as_pattern(glob: str) -> re.Pattern[str]:
    """``**`` stands for any folders, ``*`` and ``?`` stay within one name."""
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[[^\]/]+\])", glob)
    wild = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(wild.get(token) or _literal(token) for token in tokens))


def _literal(token: str) -> str:
    if token.startswith("[") and token.endswith("]") and len(token) > 2:
        inside = token[1:-1].replace("\\", r"\\")
        return f"[^{inside[1:]}]" if inside[0] == "!" else f"[{inside}]"
    return re.escape(token)
