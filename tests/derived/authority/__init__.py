"""The certificate authority: keys, lists, answers, an authority run by others.

    test_authority  the authority: an offline root, keys in four places, lists and answers; read back by openssl
    test_outside    an authority that others run: `openssl ca` behind a program. What comes back is looked at

May import everything.
"""
