"""Read JSON that nobody vouches for: every field is checked before use, and named if wrong."""

import json
from collections.abc import Callable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import UserError

T = TypeVar("T")
LONGEST = 2_000  # characters of a text: what is longer is none of ours


class WrongFieldError(ValueError):
    """A field that is missing or holds what it should not; the message is its name."""


class Fields:
    """A JSON object, read field by field; a field that is not as asked raises WrongFieldError."""

    def __init__(self, value: Any, where: str = "") -> None:
        if not isinstance(value, dict):
            raise WrongFieldError(where or "the whole")
        self.value: Mapping[str, Any] = value
        self.where = where

    def text(self, name: str) -> str:
        """Read a text of ordinary length."""
        found = self.value.get(name)
        if not isinstance(found, str) or len(found) > LONGEST:
            raise WrongFieldError(self._path(name))
        return found

    def flag(self, name: str) -> bool:
        """Read true or false."""
        found = self.value.get(name)
        if not isinstance(found, bool):
            raise WrongFieldError(self._path(name))
        return found

    def number(self, name: str) -> float:
        """Read a finite number."""
        found = self.optional_number(name)
        if found is None:
            raise WrongFieldError(self._path(name))
        return found

    def optional_number(self, name: str) -> float | None:
        """Read a finite number, or null: what NaN and infinity become in JSON."""
        found = self.value.get(name)
        if found is None and name in self.value:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or not isfinite(found):
            raise WrongFieldError(self._path(name))
        return float(found)

    def fields(self, name: str) -> "Fields":
        """Read an object."""
        return Fields(self.value.get(name), self._path(name))

    def each(self, name: str) -> dict[str, "Fields"]:
        """Read an object whose values are objects."""
        found = self.fields(name)
        return {key: found.fields(key) for key in found.value}

    def list_of(self, name: str) -> list["Fields"]:
        """Read a list of objects."""
        found = self.value.get(name)
        if not isinstance(found, list):
            raise WrongFieldError(self._path(name))
        return [Fields(item, f"{self._path(name)}[{i}]") for i, item in enumerate(found)]

    def texts(self, name: str) -> dict[str, str]:
        """Read an object whose values are texts."""
        found = self.fields(name)
        return {key: found.text(key) for key in found.value}

    def _path(self, name: str) -> str:
        return f"{self.where}.{name}" if self.where else name


def read_fields(path: Path, kind: str, read: Callable[[Fields], T]) -> T:
    """Read a JSON file with `read`; UserError says in a sentence why it is no `kind`."""
    try:
        return read(Fields(json.loads(path.read_text(encoding="utf-8"))))
    except OSError as error:
        raise UserError(f"Could not read {path}: {error.strerror}.") from error
    except WrongFieldError as error:
        name = str(error)[:100]
        raise UserError(f"{path} is not {kind}: {name!r} is missing or wrong.") from error
    except (ValueError, RecursionError) as error:  # not JSON, or not even text
        raise UserError(f"{path} is not {kind}: it is not JSON.") from error
