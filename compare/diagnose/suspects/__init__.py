"""The usual suspects of a port, and the patterns they leave."""
