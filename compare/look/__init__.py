"""Observe every array that a program computes, without changing the program."""
