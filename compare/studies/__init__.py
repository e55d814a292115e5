"""What makes pages of docs/ from hours of runs: `python -m compare.studies.results`, and so on."""
