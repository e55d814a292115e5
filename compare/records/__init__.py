"""The types of the JSON files that verbs write and read: bench, mutants and result."""
