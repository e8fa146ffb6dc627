"""Requests per second of one worker on one core, beside other providers on the same machine, in the same minutes.

    load        the load: kept-alive connections, bounded in count and time, loopback only
    operations  what is asked; memory: what a worker holds
    postgresql  a server of our own for as long as one run
    ramet       Ramet, as an operator serves it; inside: what makes its codes and tokens beforehand
    peer        any other provider; node: node-oidc-provider (bench/node); django_peers: those on Django (bench/peers)
    table       medians and ratios, against the floors and aims

`python -m bench` runs it all. It decides nothing: no test reads its figures.
"""
