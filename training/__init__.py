"""From labelled messages to a released bundle; never imported where Carelane runs."""
