"""The digits: loaded, normalised, split into batches.

Start at load.py. sample.py and mnist.py read the digits, batches.py decides their order, and
levels.py stores images by their grey levels.
"""
