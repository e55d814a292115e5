"""Observe every array that a program computes while it runs, without changing the program.

Python calls a trace function at every line and every return (sys.settrace). It sees the local
variables of the user's code each time they are bound, and records what a library returns under the
text of the call. Modules are observed with their frameworks' hooks; see hooks.py.
"""

import dis
import sys
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from functools import cache
from types import CodeType, FrameType
from typing import Any

import numpy as np

from compare.look.rebuild import is_array
from compare.look.sources import call_text, is_users_file, place_of
from compare.look.values import Store, Value, dtype_of, to_numpy

MOST_PIECES = 20_000  # of a loop, that are joined
LARGEST_CONSTANT = 2**17  # numbers in a constant; larger arrays are parameters
LARGEST_WHOLE = 2**27  # numbers in an array joined from a loop's pieces


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each array within tuples, lists, dicts and dataclasses, with the path to it."""
    if is_array(value) or isinstance(value, np.generic | float):
        yield name, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(item, f"{name}[{key!r}]")
    elif isinstance(value, list | tuple):
        names = getattr(value, "_fields", None) or [f"[{n}]" for n in range(len(value))]
        for key, item in zip(names, value, strict=True):
            yield from leaves(item, f"{name}{key}" if key.startswith("[") else f"{name}.{key}")
    elif is_dataclass(value) and not isinstance(value, type):
        for part in fields(value):
            yield from leaves(getattr(value, part.name, None), f"{name}.{part.name}")
    elif hasattr(value, "get_value") and hasattr(value, "shape"):  # an nnx.Variable
        yield name, value.get_value()


class Look:
    """The arrays seen in one run: each once, in the order they were computed."""

    def __init__(self, store: Store, look: tuple[str, ...] = ()):
        self.store = store
        self.look = look
        self.values: dict[str, Value] = {}  # by digest
        self.blind: dict[str, None] = {}
        self.by_sighting: dict[tuple[str, str, int], Value] = {}
        self.seen_of: dict[tuple[str, str], int] = {}
        self.groups: dict[tuple[Any, ...], list[Value]] = {}
        self.frames: dict[int, _Frame] = {}
        self.serial = 0
        self.scopes: dict[str, list[Value]] = {}  # what was seen within each module, by its path
        self.digests: dict[int, tuple[Any, Any, str]] = {}

    def _digest(self, leaf: Any) -> str | None:
        """Store an array's numbers; return their digest, or None if it has no values."""
        mark = _mark_of(leaf)
        known = self.digests.get(id(leaf))
        if known is not None and known[0]() is leaf and known[1] == mark:
            return known[2]
        array = to_numpy(leaf)
        if array is None:
            return None
        digest = self.store.put(array)
        if is_array(leaf) and mark is not None:
            self.digests[id(leaf)] = (weakref.ref(leaf), mark, digest)
        return digest

    def _is_large_constant(self, leaf: Any) -> bool:
        """Check whether an array is large and was not seen before."""
        size = getattr(leaf, "size", 0)
        size = size() if callable(size) else size
        known = self.digests.get(id(leaf))
        return int(np.prod(size)) > LARGEST_CONSTANT and not (known and known[0]() is leaf)

    def see(
        self,
        kind: str,
        name: str,
        where: str,
        value: Any,
        parents: Iterable[Value] = (),
        within: "_Frame | None" = None,
    ) -> list[Value]:
        """Record every array in a value, and return them; note arrays without values as blind."""
        found = []
        parents = list(parents)
        from_input = kind == "input" or any(parent.from_input for parent in parents)
        for path, leaf in leaves(value, name):
            if not from_input and kind != "module" and self._is_large_constant(leaf):
                continue
            digest = self._digest(leaf)
            if digest is None:
                if "Tracer" in type(leaf).__name__:
                    self.blind[f"{path} ({where})"] = None
                continue
            known = self.values.get(digest)
            if known is None:
                shape = self.store.shapes[digest]
                known = Value(digest, shape, dtype_of(leaf), len(self.values), self.store)
                known.parents.update(parents)
                known.from_input = from_input
                self.values[digest] = known
            known.sightings.append((kind, path, where))
            number = self.seen_of.get((path, where), 0)
            self.seen_of[path, where] = number + 1
            self.by_sighting[path, where, number] = known
            known.keys.append((path, where, number))
            if within is not None:
                for level in (within, within.caller):
                    if level is not None:
                        key = (level.serial, path, where, known.shape)
                        self.groups.setdefault(key, []).append(known)
            found.append(known)
        return found

    def enter_module(self, path: str, kind: str, args: Any) -> None:
        """Record the inputs of a module; new ones derive from what its parent has seen so far."""
        around = self.scopes.get(path.rpartition(".")[0], []) if path else []
        self.scopes[path] = self.see("module", f"{path or kind} input", kind, args, around)

    def leave_module(self, path: str, kind: str, out: Any) -> None:
        """Record the outputs of a module, which derive from what was seen within it."""
        found = self.see("module", path or f"{kind} output", kind, out, self.scopes.get(path, []))
        if path:
            self.scopes.setdefault(path.rpartition(".")[0], []).extend(found)

    def twin_of(self, value: Value) -> Value | None:
        """Return this run's counterpart of a value seen in another run of the same program."""
        for key in value.keys:
            if key in self.by_sighting:
                return self.by_sighting[key]
        return None

    def nodes_of(self, value: Any) -> list[Value]:
        """Return the records of arrays in a value that were already seen."""
        nodes = []
        for _, leaf in leaves(value):
            digest = None if self._is_large_constant(leaf) else self._digest(leaf)
            if digest is not None and digest in self.values:
                nodes.append(self.values[digest])
        return nodes

    @contextmanager
    def tracing(self) -> Iterator[None]:
        """Observe all Python code that runs within the block."""
        before = sys.gettrace()
        sys.settrace(self._on_call)
        try:
            yield
        finally:
            sys.settrace(before)
            self.frames.clear()

    def user_frame(self, frame: FrameType | None) -> "_Frame | None":
        """Return the record of a frame, if it is observed code of the user."""
        return self.frames.get(id(frame)) if frame is not None else None

    def _on_call(self, frame: FrameType, event: str, arg: Any) -> Callable | None:
        if is_users_file(frame.f_code.co_filename, self.look):
            caller = frame.f_back
            while caller is not None and id(caller) not in self.frames:
                caller = caller.f_back
            self.serial += 1
            self.frames[id(frame)] = _Frame(self, frame, self.user_frame(caller), self.serial)
            return self._on_line
        caller_frame = self.user_frame(frame.f_back)
        if caller_frame is None or frame.f_code.co_flags & 0x20:  # a generator returns no value
            return None
        frame.f_trace_lines = False
        parents = self.nodes_of(tuple(frame.f_locals.values()))
        return self._returning(caller_frame, frame.f_back, parents)

    def _returning(self, caller: "_Frame", back: Any, parents: list[Value]) -> Callable:
        def on_return(frame: FrameType, event: str, arg: Any) -> Callable:
            if event == "return" and arg is not None:
                # Temporary arrays are unknown, such as np.exp(x) in np.exp(x).sum().
                parents_all = {*parents, *caller.pending} or caller.loaded_now(back)
                name, where = call_text(back), place_of(back)
                caller.pending.update(self.see("call", name, where, arg, parents_all, caller))
            return on_return

        return on_return

    def _on_line(self, frame: FrameType, event: str, arg: Any) -> Callable:
        known = self.frames.get(id(frame))
        if known is None or event == "exception":
            return self._on_line
        known.look_at_locals(frame)
        if event == "return":
            parents = known.loaded_now(frame) | known.pending
            where = f"{place_of(frame)}"
            name = f"{frame.f_code.co_qualname} returns".replace("<locals>.", "")
            seen = self.see("call", name, where, arg, parents, known.caller)
            if known.caller is not None:
                known.caller.pending.update(seen)
            del self.frames[id(frame)]
        known.line = frame.f_lineno
        return self._on_line

    def put_together(self) -> None:
        """Join the pieces that a loop computed into one value, so that a whole batch can match."""
        made = set()
        for (_, name, where, shape), pieces in self.groups.items():
            distinct = list({id(piece): piece for piece in pieces}.values())
            if not 1 < len(distinct) <= MOST_PIECES:
                continue
            if len(pieces) * int(np.prod(shape)) > LARGEST_WHOLE:
                continue
            array = np.stack([piece.array for piece in pieces])
            digest = self.store.put(array)
            if digest in self.values or digest in made:
                continue
            made.add(digest)
            last = distinct[-1]
            whole = Value(digest, array.shape, last.dtype, last.order, self.store)
            whole.sightings.append(("local", f"{name}, {len(pieces)} times", where))
            whole.parents.update(distinct)
            whole.from_input = last.from_input
            whole.pieces = tuple(distinct)
            self.values[digest] = whole


class _Frame:
    """A running call of a user's function."""

    def __init__(self, look: Look, frame: FrameType, caller: "_Frame | None", serial: int):
        self.look, self.caller, self.serial = look, caller, serial
        self.line = frame.f_lineno
        self.bound: dict[str, tuple[Any, Any]] = {}
        self.pending: set[Value] = set()  # seen since the last name was bound
        self.look_at_locals(frame)

    def look_at_locals(self, frame: FrameType) -> None:
        """Record the variables that were bound or changed in place since the last line."""
        loaded = self.loaded_now(frame)  # before names are bound again
        fresh = [
            (name, value)
            for name, value in frame.f_locals.items()
            if name != "self" and self._is_new(name, value, frame)
        ]
        if not fresh:
            return
        parents = loaded | self.pending
        where = f"{place_of(frame).rsplit(':', 1)[0]}:{self.line}"
        function = frame.f_code.co_qualname.replace("<locals>.", "")
        for name, value in fresh:
            self.look.see("local", f"{name} in {function}", where, value, parents, self)
        self.pending.clear()

    def _is_new(self, name: str, value: Any, frame: FrameType) -> bool:
        is_plain = isinstance(value, tuple | list | dict | np.generic | float)
        if not (is_plain or is_array(value) or is_dataclass(value)):
            return False
        mark = _mark_of(value)
        before = self.bound.get(name)
        self.bound[name] = (value, mark)
        return before is None or before[0] is not value or before[1] != mark

    def loaded_now(self, frame: FrameType) -> set[Value]:
        """Return the variables that the last line has read."""
        names = _names_loaded(frame.f_code).get(self.line, ())
        loaded = tuple(self.bound[name][0] for name in names if name in self.bound)
        return set(self.look.nodes_of(loaded))


def _mark_of(value: Any) -> Any:
    """Return what changes when an array is written to in place, or a list grows."""
    if type(value) is np.ndarray:
        flat = (
            value.reshape(-1)[:: max(1, value.size // 4096)] if value.flags.c_contiguous else value
        )
        return hash(np.asarray(flat).tobytes())
    if isinstance(value, list | dict | tuple):
        return len(value)
    return getattr(value, "_version", 0)


@cache
def _names_loaded(code: CodeType) -> Mapping[int, tuple[str, ...]]:
    """Return the local variables that each line reads."""
    names: dict[int, list[str]] = {}
    for instruction in dis.get_instructions(code):
        positions = instruction.positions
        if positions is None or positions.lineno is None:
            continue
        if instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE")):
            found = instruction.argval
            names.setdefault(positions.lineno, []).extend(
                found if isinstance(found, tuple) else [found]
            )
    return {line: tuple(found) for line, found in names.items()}
