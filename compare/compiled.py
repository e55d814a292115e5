"""JAX's compilation cache in a folder, so that other processes need not compile again."""

from pathlib import Path


def compiling_into(folder: str | Path) -> dict[str, str]:
    """Return the environment variables that make JAX cache what it compiles in a folder.

    They must be set before JAX is imported. The key of a compiled program is a hash of the program,
    of JAX's version and of its options, so a program that differs in any of them is compiled again.
    If two processes write at once, one may read half of an entry: JAX then warns and compiles
    again. See https://docs.jax.dev/en/latest/persistent_compilation_cache.html.
    """
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
