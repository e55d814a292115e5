"""Run the implementations side by side, and compare them with each other and with exact values."""

import shared.startup  # noqa: F401 - or Ctrl-C while importing is a traceback
from compare.diagnose.api import assert_same_function, diagnose

__all__ = ["assert_same_function", "diagnose"]
