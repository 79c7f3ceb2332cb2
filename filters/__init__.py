"""Numbers about a document (signals) and the rules that judge them."""
