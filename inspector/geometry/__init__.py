"""From factors to numbers, one quantity a file.

The pass over one module: stack -> gram -> factorise -> directions, overlap, angles (torch).
From modules to layers and the whole adapter: cosine, orthogonal, interference, ranks (numpy).
"""
