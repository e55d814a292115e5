"""What JAX compiles, kept in a folder: other processes need not compile the same again."""

from pathlib import Path


def compiling_into(folder: str | Path) -> dict[str, str]:
    """Give the environment in which JAX keeps all that it compiles in a folder, and looks there.

    It has to be set before JAX is imported. A compiled program is named by a hash of the program
    itself, of JAX's version and of its options, so what differs in anything is compiled anew.
    Where two processes write at once, one may read half of an entry: JAX says so in a warning,
    and compiles anew. See https://docs.jax.dev/en/latest/persistent_compilation_cache.html.
    """
    return {
        "JAX_COMPILATION_CACHE_DIR": str(folder),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
