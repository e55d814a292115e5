"""Plant a bug: import a second copy of a package with one place of one file changed."""

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

# Packages that import nothing by themselves, with the modules to import.
PARTS = {
    "compare": (
        *("parity.comparison", "parity.checks", "parity.verdict", "trace.command"),
        *("bench.command", "bench.rows", "run.report"),
    )
}


def plant(bug: Bug, *, _keep: bool = False) -> ModuleType:
    """Import a copy of the bug's package with the bug in it; the original stays unchanged.

    Returns the package or, for "shared", which many import from, the changed module. Raises
    ValueError unless `right` occurs exactly once and differs from `wrong`, and ModuleNotFoundError
    if the package's framework is not installed. With `_keep` nothing is planted: this copy of the
    real package shows the effect of planting itself.
    """
    path = path_of(bug)
    text = path.read_text(encoding="utf-8")
    changed = change(text, bug)
    module = ".".join((bug.package, *Path(bug.file).with_suffix("").parts))
    return _import_anew(
        bug.package, module.removesuffix(".__init__"), path, text if _keep else changed
    )


def path_of(bug: Bug) -> Path:
    """Return the file that a bug is planted in."""
    spec = find_spec(bug.package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{bug.name}: there is no package {bug.package}")
    return Path(spec.submodule_search_locations[0]) / bug.file


def change(text: str, bug: Bug) -> str:
    """Return a text with the right text of a bug replaced by the wrong one."""
    if bug.right == bug.wrong:
        raise ValueError(f"{bug.name}: right and wrong are the same text")
    if (count := text.count(bug.right)) != 1:
        raise ValueError(
            f"{bug.name}: {bug.right!r} occurs {count} times in {bug.package}/{bug.file}"
        )
    return text.replace(bug.right, bug.wrong)


def whole_lines(bug: Bug) -> tuple[str, str]:
    """Return the lines with the right text, and the changed ones, both without indentation."""
    text = path_of(bug).read_text(encoding="utf-8")
    change(text, bug)  # a comment that explains the bug
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
    """Import a package, or one module of "shared", with `text` instead of a file's contents."""
    # The real one is imported first, for actions that are allowed once per process.
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
    """Import a package and, if it imports nothing by itself, its modules in use."""
    for name in PARTS.get(package, ()):
        import_module(f"{package}.{name}")
    return import_module(package)


class _OneFile(MetaPathFinder):
    """A finder of one module with a given text, used first by `import` within the block."""

    def __init__(self, module: str, path: Path, text: str) -> None:
        self.module, self.path, self.text = module, path, text
        self.is_used = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of the module; leave all others to the next finders."""
        return self.spec() if fullname == self.module else None

    def spec(self) -> ModuleSpec:
        """Return the spec of the module."""
        self.is_used = True
        loader = _TextLoader(self.module, str(self.path), self.text)
        locations = [str(self.path.parent)] if self.path.name == "__init__.py" else None
        spec = spec_from_file_location(
            self.module, self.path, loader=loader, submodule_search_locations=locations
        )
        assert spec is not None
        return spec

    def load(self) -> ModuleType:
        """Load the module alone, without changing its package."""
        spec = self.spec()
        module = module_from_spec(spec)
        sys.modules[self.module] = module  # dataclasses look up their module there
        assert spec.loader is not None
        spec.loader.exec_module(module)
        return module

    def __enter__(self) -> None:
        sys.meta_path.insert(0, self)

    def __exit__(self, *_: object) -> None:
        sys.meta_path.remove(self)


class _TextLoader(SourceFileLoader):
    """A loader of a file with the contents `text`, without caches of compiled code."""

    def __init__(self, fullname: str, path: str, text: str) -> None:
        super().__init__(fullname, path)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        """Compile the text under the file's name, by which a trace finds its functions."""
        code: CodeType = compile(self.text, self.path, "exec", dont_inherit=True)
        return code


@contextmanager
def _set_aside(name: str) -> Iterator[None]:
    """Remove a module and its submodules from sys.modules, and restore them afterwards."""

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
    """Keep JAX from registering the classes of other packages twice, which it refuses.

    The classes of `package` itself are new, and have to be registered.
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
