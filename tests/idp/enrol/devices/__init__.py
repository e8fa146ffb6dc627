"""The page of a person's devices.

    test_apps  My apps: what a person allowed is listed, and taken back
    test_own_suspension  a device that its person suspends and lifts
    test_tree  my devices as a tree: what grew from what, and what apps hold by each; endable by its person, dead

May import everything.
"""
