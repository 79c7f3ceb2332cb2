"""The command `benben`, and its verbs that are not stages."""
