"""Our own certification authority, as the database has it: its keys, its lists, and the answers that it gives.

    keeping   an authority is made, certified by an offline root or by somebody else's, and followed by the next
    lists     what is taken back, as CRLs: the whole, and in shards past ten thousand (IV-10, MT-8, C92)
    answers   the same, one by one, as OCSP

Whether a certificate is good is read from the ledger each time, so whatever ends a credential ends its certificate; nothing
here knows why. May import what stands below it in the floors of `derived`.
"""
