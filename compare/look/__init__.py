"""Look at what a program computes: every array, whatever it is called, without a line in it."""
