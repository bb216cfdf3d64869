#!/bin/sh
# Holds deploy/ against the schemas of those who read it: `make deploy-check`.
# KEDA's ScaledObject and kustomize are in no schema that a package index has; tests/unit/test_deploy.py
# looks at their structure.
set -eu
cd "$(dirname "$0")/.."
tools=${1:?usage: check.sh FOLDER-OF-TOOLS}
"$tools/hadolint" deploy/docker/Dockerfile
"$tools/cfn-lint" deploy/queues.yaml deploy/alarms.yaml
"$tools/check-jsonschema" --builtin-schema vendor.compose-spec deploy/compose/compose.yaml
for file in deploy/kubernetes/*.yaml deploy/kubernetes/schema/job.yaml \
  deploy/kubernetes/intake-queue/deployment.yaml; do
  case $file in */kustomization.yaml | */scaling.yaml) continue ;; esac
  "$tools/kubernetes-validate" --strict --quiet "$file"
done
sh -n deploy/docker/tree.sh
echo "deploy/ is well-formed"
