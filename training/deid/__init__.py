"""Training of the de-identification token classifier. Never imported at run time."""
