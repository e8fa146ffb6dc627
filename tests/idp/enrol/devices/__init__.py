"""The page of a person's devices.

    test_tree  my devices as a tree: what grew from what, and what apps hold by each; endable by its person, dead

May import everything.
"""
