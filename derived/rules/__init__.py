"""Pure rules: what may be minted, how strong, until when. Standard library only, no clock."""
