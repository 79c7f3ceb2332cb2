"""A page as Lexbor parses it, and the one walk over it; compiled."""
