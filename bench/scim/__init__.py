"""SCIM at 100,000 people, beside other Python servers: one worker on one core, at the same time.

    people       the people of the benchmark, by number
    fill         100,000 people and a group of 10,000, copied by SQL from one that the engine made
    ramet        Ramet, served as an operator serves it, on SQLite and on PostgreSQL
    peers        django-scim2 and Canaille, pinned, each in its own environment (bench/scim/peer)
    peer         the sites of those servers, which run in their own environments
    operations   the rows of the table, in each server's spelling
    session      processor time and memory of a server's processes
    table        medians and ratios as Markdown
    plans        query plans of the slowest requests, on both databases
    explain      the statements and plans of one request

`python -m bench.scim` runs it all; `--plans` prints the plans only. No test reads its figures. May import everything.
"""
