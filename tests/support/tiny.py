"""Variants of the tiny NumPy implementation as modules, and commands that run them."""

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest
import tiny_attention

from compare.trace import command as trace

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(tiny_attention.__file__).read_text()
NUMBERS = count()  # a module is imported once, so each variant has its own name


def write_tiny(folder: Path, *changes: tuple[str, str], also: str = "") -> str:
    """Write the implementation into a folder, with some text changed; return its name."""
    name, source = f"tiny_{next(NUMBERS)}", SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    (folder / f"{name}.py").write_text(f"{source}\n{also}\n")
    return name


@pytest.fixture
def make_tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Change to a temporary folder, and return a function that makes variants there."""
    monkeypatch.chdir(tmp_path)
    return partial(write_tiny, tmp_path)


def trace_tiny(name: str, *args: str, channels: int = 3) -> int:
    """Trace an implementation alone, on one digit; return the exit status."""
    options = f"--implementations --images 1 --num-channels {channels}".split()
    return trace.main([*options, "--implementation", name, *args])


def run_module(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run `python -m ...` in a folder, in a new process."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
