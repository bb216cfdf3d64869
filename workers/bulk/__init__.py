"""`carelane bulk`: files too large for the live lane, labelled the live lane's way."""
