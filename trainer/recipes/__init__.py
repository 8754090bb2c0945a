"""Recipes: every setting of a run, from the YAML files here and from the command line."""
