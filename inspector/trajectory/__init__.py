"""How training moved the weights: the checkpoints of runs, measured step by step.

`runs` finds them, `measure` measures what is new, `result` is what was measured, `command` prints it.
"""
