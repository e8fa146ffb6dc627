"""Pytest plugins of this suite; `tests/conftest.py` names them.

    durations        A pytest plugin: the wall and CPU seconds of every test, for the table at the end of `make test`
    examples         A pytest plugin: Hypothesis judges the product and not the machine
    failures         A pytest plugin: the names of the tests that failed, for `tests/run`, which asks a few of them once
    selection        A pytest plugin: which tests run on which database, and which of them share a worker
    statement_sites  A pytest plugin: the lines of the product that send SQL, so that none of them is tried on

May import everything.
"""
