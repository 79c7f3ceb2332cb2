"""Image URLs to pictures: consent, politeness, safe requests, one decode, what is known of each."""
