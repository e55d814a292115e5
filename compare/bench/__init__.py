"""`python -m compare bench`: time and memory of every form. Start at command.py.

plan.py chooses the cases, jobs.py runs one, memory.py measures the memory of one, and report.py
prints the results.
"""
