"""Rules about the repository's own text: `make check` runs them.

    citations          requirement ids: where code, tests and documents cite them, and the rows that define them
    test_code          what the product's own text must not do, read as a tree
    test_conformance   docs/conformance.md names the test of each module of the conformance suite
    test_groups        tests that share a server share a worker
    test_docs          documents name only paths, modules and functions that exist, and define each word of the
    test_invariants    the cap lives where a ledger row is made: one constructor, one place that changes a level
    test_maps          the docstring of each package is its map: one line for each module and folder in it, and
    test_renamed       former names of an operator's files work for one release, with a warning; ids of system
    test_requirements  docs/requirements.md defines every id that is cited, and claims no test that does not exist
    test_rows          every row that a derived credential must satisfy has its test by id
    test_settings      docs/settings.md has every setting, with its true default, and none that nothing reads
    test_structure     the tests mirror the product, and no test module imports another

May import everything.
"""
