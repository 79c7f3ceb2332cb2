"""The command `benben-train` and its verbs."""
