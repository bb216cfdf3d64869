"""The Flask app for clinicians and operations: worklist, message page, sign-in, audit.

A web request reads Postgres and writes what a person decides; it never labels anything itself.
"""
