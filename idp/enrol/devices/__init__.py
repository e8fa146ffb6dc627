"""My devices.

    pages        the list, adding a device, the device's page, undo links
    apps         My apps: what a person allowed, or is signed in to
    agreement_pages   what an application gets to know, and objections
    tree         the tree of credentials and their token families
    undo_links   links in notices that revoke or suspend

May import `idp.enrol.grown`, `idp.enrol.roots` and packages below them.
"""
