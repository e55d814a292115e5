"""The roof over the implementations: run them side by side and hold them against each other."""

import shared.startup  # noqa: F401 - or Ctrl-C while importing is a traceback
