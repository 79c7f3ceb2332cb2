"""What pages, hosts and lists say against the use of pages and images."""
