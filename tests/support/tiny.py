"""Variants of the tiny implementation in NumPy, as modules of their own, and commands on them."""

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
NUMBERS = count()  # a module is imported once, so each variant has a name of its own


def write_tiny(folder: Path, *changes: tuple[str, str], also: str = "") -> str:
    """Write the implementation into a folder, with some of its text changed; give its name."""
    name, source = f"tiny_{next(NUMBERS)}", SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    (folder / f"{name}.py").write_text(f"{source}\n{also}\n")
    return name


@pytest.fixture
def make_tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Work in a folder of its own, and make variants of the tiny implementation there."""
    monkeypatch.chdir(tmp_path)
    return partial(write_tiny, tmp_path)


def trace_tiny(name: str, *args: str, channels: int = 3) -> int:
    """Trace an implementation alone, on one digit; give the exit status."""
    options = f"--implementations --images 1 --num-channels {channels}".split()
    return trace.main([*options, "--implementation", name, *args])


def run_module(*args: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run `python -m ...` in a folder, in a process of its own."""
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=300
    )
