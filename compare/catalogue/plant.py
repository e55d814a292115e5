"""Plant a bug: import a package anew with one place of one file changed, beside the real one."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any
from unittest.mock import patch

from compare.catalogue.records import Bug

# A package that imports nothing by itself: what is asked of it afterwards.
PARTS = {
    "compare": (
        *("parity.comparison", "parity.checks", "parity.verdict", "trace.command"),
        *("bench.command", "bench.rows", "run.report"),
    )
}


def plant(bug: Bug, *, _keep: bool = False) -> ModuleType:
    """Import the bug's package anew with the bug in it; what was imported before stays as it is.

    Gives the package or, for "shared", which many import from, the one module of it that is
    changed. Raises ValueError if `right` does not occur exactly once, or is what `wrong` is, and
    ModuleNotFoundError if the package's framework is not installed. `_keep` plants nothing: the
    twin of the real package that it gives tells what planting by itself does.
    """
    path = path_of(bug)
    text = path.read_text(encoding="utf-8")
    changed = change(text, bug)
    module = ".".join((bug.package, *Path(bug.file).with_suffix("").parts))
    return _import_anew(
        bug.package, module.removesuffix(".__init__"), path, text if _keep else changed
    )


def path_of(bug: Bug) -> Path:
    """Find the file that a bug is planted in."""
    spec = find_spec(bug.package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{bug.name}: there is no package {bug.package}")
    return Path(spec.submodule_search_locations[0]) / bug.file


def change(text: str, bug: Bug) -> str:
    """Put the wrong text of a bug in the place of the right one."""
    if bug.right == bug.wrong:
        raise ValueError(f"{bug.name}: right and wrong are the same text")
    if (count := text.count(bug.right)) != 1:
        raise ValueError(
            f"{bug.name}: {bug.right!r} occurs {count} times in {bug.package}/{bug.file}"
        )
    return text.replace(bug.right, bug.wrong)


def whole_lines(bug: Bug) -> tuple[str, str]:
    """Give the lines that hold the right text, and what they become; both without their indent."""
    text = path_of(bug).read_text(encoding="utf-8")
    change(text, bug)  # or it says what is wrong
    at, right, wrong = text.index(bug.right), bug.right.rstrip("\n"), bug.wrong.strip("\n")
    start = text.rfind("\n", 0, at) + 1
    stop = text.find("\n", at + len(right))
    before, after = text[start:at], text[at + len(right) : stop]
    indent = len(before) - len(before.lstrip())
    right, wrong = (
        "\n".join(line[indent:] if line[:indent].isspace() else line for line in part.splitlines())
        for part in (before + right + after, before + wrong + after)
    )
    return right, wrong


def _import_anew(package: str, module: str, path: Path, text: str) -> ModuleType:
    """Import a package, or one module of "shared", with `text` in the place of a file's own."""
    # The real one comes first: what may be done once in a process, it has done.
    import_module(module)
    finder = _OneFile(module, path, text)
    if package == "shared":
        with _set_aside(module):
            return finder.load()
    with _set_aside(package), _registered_once(package), finder:
        planted = import_whole(package)
        if not finder.is_used:
            raise ValueError(f"importing {package} does not read {path.name}")
        return planted


def import_whole(package: str) -> ModuleType:
    """Import a package and, where it imports nothing by itself, what is asked of it."""
    for name in PARTS.get(package, ()):
        import_module(f"{package}.{name}")
    return import_module(package)


class _OneFile(MetaPathFinder):
    """Finds one module, whose text it has; while it is entered, `import` asks it first."""

    def __init__(self, module: str, path: Path, text: str) -> None:
        self.module, self.path, self.text = module, path, text
        self.is_used = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find the module, and leave every other to those who come next."""
        return self.spec() if fullname == self.module else None

    def spec(self) -> ModuleSpec:
        """Say how the module is loaded."""
        self.is_used = True
        loader = _TextLoader(self.module, str(self.path), self.text)
        locations = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        spec = spec_from_file_location(
            self.module, self.path, loader=loader, submodule_search_locations=locations
        )
        assert spec is not None
        return spec

    def load(self) -> ModuleType:
        """Load the module by itself; the package that it is in never hears of it."""
        spec = self.spec()
        module = module_from_spec(spec)
        sys.modules[self.module] = module  # where dataclasses look for their module
        assert spec.loader is not None
        spec.loader.exec_module(module)
        return module

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)


class _TextLoader(SourceFileLoader):
    """Loads a file as if `text` stood in it, past all caches of compiled code."""

    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        """Compile the text under the file's own name, by which a trace knows its functions."""
        code: CodeType = compile(self.text, self.path, "exec", dont_inherit=True)
        return code


@contextmanager
def _set_aside(name: str) -> Iterator[None]:
    """Take a module and all in it out of sys.modules, and put them back in the end."""

    def names() -> list[str]:
        return [key for key in sys.modules if key == name or key.startswith(f"{name}.")]

    before = {key: sys.modules.pop(key) for key in names()}
    try:
        yield
    finally:
        for key in names():
            del sys.modules[key]
        sys.modules.update(before)


@contextmanager
def _registered_once(package: str) -> Iterator[None]:
    """Let JAX register no class of another package twice: it refuses that.

    The classes of `package` itself are made anew, and so have to be registered anew.
    """
    jax: Any = sys.modules.get("jax")
    if jax is None:
        yield
        return
    register = jax.tree_util.register_dataclass

    def register_own(nodetype: Any, *args: Any, **options: Any) -> Any:
        if nodetype.__module__.split(".")[0] != package:
            return nodetype
        return register(nodetype, *args, **options)

    with patch.object(jax.tree_util, "register_dataclass", register_own):
        yield
