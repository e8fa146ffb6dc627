"""Every legal change of a credential or an account; the caller holds the account's lock.

    issue               bind roots, issue derived credentials and token families
    renew               replace a credential by a new one, never a stronger one
    revoke              end one credential, a tree of them, or an account
    suspend             suspend and resume an account or a credential
    lower_level         lower a root's level, and suspend descendants that become too weak
    by_person           changes by a person: rename, remove, report a loss
    identity_changes    changes of eligibility, identity assurance or name
    requests            the request for a credential: ask, decide, withdraw, collect, lapse, expire
    identity_checks     the record of an identity check in person
    temporary_passes    give a temporary pass, which ends the one before
    recovery            vouched recovery of a person without a way in
    review_after_loss   bindings that may rest on a lost root, for a review
    access_review       the periodic review of derived credentials

May import: the rest of `derived`. Commands raise `Refused`; nothing here knows sessions, codes or tokens of `idp`,
which join the account and the credential at every read.
"""
