"""The page as Lexbor parses it, and one compiled walk over it."""
