#!/usr/bin/env bash
# Unpacks the registry of models from a release, once a job; without a release the rules answer.
set -euo pipefail
if [ -z "${RELEASE:-}" ] || [ -d .understudy ]; then exit 0; fi
gh release download "$RELEASE" --repo "$GITHUB_REPOSITORY" --pattern understudy.tar.gz --dir "$RUNNER_TEMP"
tar --extract --gzip --file "$RUNNER_TEMP/understudy.tar.gz" .understudy
