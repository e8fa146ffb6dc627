"""My devices: the pages, the tree of credentials and the undo links."""
