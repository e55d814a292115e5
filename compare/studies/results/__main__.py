"""`python -m compare.studies.results`."""

from compare.studies.results import main
from shared.cli import run_main

run_main(main)
