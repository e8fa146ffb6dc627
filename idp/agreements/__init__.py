"""Trust agreements with relying parties, and redress for the people whom they are about (SP 800-63C-4 §3.5, §4.3).

    terms       the fields of an agreement, read from TOML; no database
    register    the versions of each client's agreement, and whether one is in force
    redress     objections of subscribers, and their answers

May import `idp.clients`, `idp.policies` and packages below them.
"""
