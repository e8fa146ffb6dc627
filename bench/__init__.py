"""Requests per second of one worker on one core, beside other providers on the same machine, in the same minutes.

    load       the load: kept-alive connections, bounded in count and time, loopback only
    postgresql a server of our own for as long as one run
    ramet      Ramet, as an operator serves it; inside: what makes its codes and tokens beforehand
    node       node-oidc-provider, with its store in PostgreSQL or in memory (bench/node)
    table      medians and ratios, against the floors and aims

`python -m bench` runs it all. It decides nothing: no test reads its figures.
"""
