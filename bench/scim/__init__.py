"""SCIM at the size of a large house, beside what else there is in Python: one worker on one core, in the same minutes.

    fill       a hundred thousand people and a group of ten thousand, by SQL from one that the engine made
    ramet      Ramet, as an operator serves it, on SQLite and on PostgreSQL
    peers      django-scim2 and Canaille, pinned, each in an environment of its own (bench/scim/peer)
    operations the requests of each row of the table, in each server's spelling
    table      medians and ratios, as Markdown
    plans      what the databases do for the worst requests (explain: of one request)

`python -m bench.scim` runs it all; `--plans` prints the plans only. It decides nothing: no test reads its figures.
"""
