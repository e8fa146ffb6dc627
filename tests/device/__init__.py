"""The reference device client.

    test_client   the device client against a server on a real port that is not always kind
    test_keeping  what the device writes to disk
    test_proofs   rules of the device's proofs, verified with joserfc as any server would

May import everything.
"""
