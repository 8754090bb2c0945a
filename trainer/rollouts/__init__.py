"""The shared rollouts: drawn from a teacher, graded, kept in files, and as the token ids every method learns from.

plan (which completions) -> teachers (who answers) -> rewards -> row_file. schema is one row; mapping reads the rows of
others.
"""
