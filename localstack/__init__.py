"""The local stack: everything that `make run` starts beside Carelane's own processes.

Embedded Postgres, LocalStack's SQS without Docker, a stand-in for the LLM, sample traffic. Not part
of a deployment. The folder shares its name with LocalStack's package, which lives in an environment
of its own (.venvs/localstack) and is only ever run as a program, from another folder.
"""
