"""Observe the inside of modules with their frameworks' hooks, and each operation of PyTorch."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

from compare.look.rebuild import is_instance
from compare.look.sources import call_text, place_of
from compare.look.watch import Look


@contextmanager
def looking(look: Look, program: Any, framework: str) -> Iterator[None]:
    """Observe a program while the block runs it; restore everything afterwards."""
    with ExitStack() as stack:
        if framework == "torch":
            stack.enter_context(_operations(look))
            stack.enter_context(_torch_modules(look, program))
        if framework == "jax":
            stack.enter_context(sys.modules["jax"].disable_jit())
            if "flax.linen" in sys.modules:
                stack.enter_context(_linen_modules(look))
            if "flax.nnx" in sys.modules:
                stack.enter_context(_nnx_modules(look, program))
        stack.enter_context(look.tracing())
        yield


def modules_of(program: Any, framework: str) -> dict[str, Any]:
    """Return the modules of a program, of PyTorch or Flax NNX, by their paths."""
    found: dict[str, Any] = {}
    for owner in _owners(program):
        if framework == "torch" and hasattr(owner, "named_modules"):
            found |= dict(owner.named_modules())
        elif framework == "jax" and _is_nnx(owner):
            nnx = sys.modules["flax.nnx"]
            found |= {".".join(map(str, path)): part for path, part in nnx.iter_modules(owner)}
    return found


def _is_nnx(value: Any) -> bool:
    nnx = sys.modules.get("flax.nnx")
    return nnx is not None and isinstance(value, nnx.Module)


def _owners(program: Any) -> list[Any]:
    """Return the module that a program is, or those in the closure of a function."""
    cells = getattr(program, "__closure__", None) or ()
    held = [program, getattr(program, "__self__", None)]
    for cell in cells:
        try:
            held.append(cell.cell_contents)
        except ValueError:
            continue
    return [value for value in held if value is not None]


@contextmanager
def _torch_modules(look: Look, program: Any) -> Iterator[None]:
    undo = []
    for path, module in modules_of(program, "torch").items():
        kind = type(module).__name__
        if is_instance(module, "torch.jit", "ScriptModule"):  # which has no hooks
            look.blind[f"{path or kind} (TorchScript)"] = None
            continue

        def before(_: Any, args: Any, kwargs: Any, path: str = path, kind: str = kind) -> None:
            look.enter_module(path, kind, (*args, *kwargs.values()))

        def after(_: Any, args: Any, kw: Any, out: Any, path: str = path, kind: str = kind) -> None:
            look.leave_module(path, kind, out)

        undo += [
            module.register_forward_pre_hook(before, with_kwargs=True),
            module.register_forward_hook(after, with_kwargs=True),
        ]
    try:
        yield
    finally:
        for handle in undo:
            handle.remove()


@contextmanager
def _operations(look: Look) -> Iterator[None]:
    """Record what each PyTorch function returns to the user's code."""
    overrides = sys.modules["torch.overrides"]

    class Operations(overrides.TorchFunctionMode):  # type: ignore[name-defined]
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            out = func(*args, **(kwargs or {}))
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and frame.f_code.co_filename.startswith("<"):
                frame = frame.f_back
            caller = look.user_frame(frame)
            if caller is not None and frame is not None:
                parents = {*look.nodes_of((*args, *(kwargs or {}).values())), *caller.pending}
                name, where = call_text(frame), place_of(frame)
                caller.pending.update(look.see("call", name, where, out, parents, caller))
            return out

    with Operations():
        yield


@contextmanager
def _linen_modules(look: Look) -> Iterator[None]:
    def see(following: Any, args: Any, kwargs: Any, context: Any) -> Any:
        if context.method_name != "__call__":
            return following(*args, **kwargs)
        path, kind = ".".join(context.module.path), type(context.module).__name__
        look.enter_module(path, kind, (*args, *kwargs.values()))
        out = following(*args, **kwargs)
        look.leave_module(path, kind, out)
        return out

    with sys.modules["flax.linen"].intercept_methods(see):
        yield


@contextmanager
def _nnx_modules(look: Look, program: Any) -> Iterator[None]:
    """Replace the __call__ of each NNX class while the block runs: NNX has no hooks."""
    modules = {id(part): path for path, part in modules_of(program, "jax").items()}
    kinds = {type(part) for part in modules_of(program, "jax").values() if callable(part)}
    kinds = {kind for kind in kinds if "__call__" in vars(kind)}
    originals = {kind: vars(kind)["__call__"] for kind in kinds}

    def wrap(kind: Any, original: Any) -> Any:
        def call(this: Any, *args: Any, **kwargs: Any) -> Any:
            path = modules.get(id(this)) or kind.__name__  # transforms make copies
            look.enter_module(path, kind.__name__, (*args, *kwargs.values()))
            out = original(this, *args, **kwargs)
            look.leave_module(path, kind.__name__, out)
            return out

        return call

    try:
        for kind, original in originals.items():
            kind.__call__ = wrap(kind, original)
        yield
    finally:
        for kind, original in originals.items():
            kind.__call__ = original
