"""Records of sources and the people they are about.

    test_opening            emergency access of two people, and the quarterly review of roles
    test_adopted_word       nothing that a source says reaches a person before its record is adopted; many endings
    test_cases              records that may be one person's are one case, however many pairs they make
    test_files              files as directories and spreadsheets write them, each with the rule that it breaks
    test_groups             groups: members as rows, both ways; sources apart; and what a change of one member costs
    test_importing          people in files: the same engine, a rehearsal that writes nothing, and lines that can
    test_leavers            joiners, movers, leavers: what a push does to the person, the account, the outbox and
    test_leavers_over_http  A leaver's push in each vendor's shape ends a live phone, its tokens and its session
    test_life_events  another home agency, a death
    test_matching           records of one person: joined by rule, by a manager, and split; and what a join can
    test_order              the order of pushes: numbered ones converge, a deactivation is sticky, and who comes
    test_refusals           refused pushes: a leaver in one is still active, so managers hear of it at once
    test_returns            a source that reactivates somebody reads the truth, and managers hear of it
    test_sources            sources: who they are, that none touches another's people, and that names are not stolen
    test_three_sources      three sources push the same thousand people, numbered, in any order, with duplicates
    test_trust              what each source is believed, how it shows who it is, and that its word about other

May import everything.
"""
