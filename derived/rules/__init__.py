"""Pure decisions about credentials: questions that return a Reason or a level.

    assurance     assurance levels, factors, and the evidence of a login
    agency        the agency code of a PIV card
    kinds         every kind of credential: its highest level, its lifetime, its requirements
    capping       the cap: no level above any ancestor's
    eligibility   whether a login may issue, change or add a credential
    lifecycle     the states of a credential and their legal transitions
    requests      the states of a request, its moves, and the approvals that it needs
    rulebook      the operator's issuance rules

May import: the standard library and `derived.errors`. No Django, no clock: `now` is an argument.
"""
