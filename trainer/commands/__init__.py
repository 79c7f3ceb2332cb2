"""The command `benben-train` and its subcommands."""
