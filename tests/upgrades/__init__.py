"""Databases of former releases, upgraded.

The modules:

    test_upgrade  migrates the dumps in tests/data and visits them
    visit         a process that uses an upgraded database as its people and apps do
"""
