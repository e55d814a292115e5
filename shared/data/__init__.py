"""The digits: loaded, normalized, put into batches.

Start at load.py; sample.py and mnist.py are where they come from, batches.py decides their order,
and levels.py holds images by their grey levels.
"""
