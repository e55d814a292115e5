"""Recognise known bugs of ports by the patterns they leave."""
