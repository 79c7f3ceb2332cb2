"""Where shipped rows come from, why nodes were dropped, and whether rows can be reproduced."""
