"""Rounding or a bug, for any two programs of the user's own: see compare/diagnose/api.py."""
