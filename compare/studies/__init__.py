"""Commands that write pages of docs/ from hours of runs, such as
`python -m compare.studies.results`.
"""
