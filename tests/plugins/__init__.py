"""Pytest plugins of this suite; `tests/conftest.py` names them.

The modules:

    durations        the wall and CPU seconds of every test
    selection        which tests run on which database, and which share a worker
    statement_sites  the lines of the product that send SQL, for each database
"""
