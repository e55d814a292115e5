"""The JSON files that one verb writes and others read, as types: bench, mutants and result."""
