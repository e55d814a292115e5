"""The roof over the implementations: run them side by side and hold them against each other."""
