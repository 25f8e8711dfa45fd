"""GitHub's published description of its API, to hold the fake and the client under test to it.

It is the npm package ``@octokit/openapi`` (MIT, 29 MB), fetched once by ``python tests/fakes/github/openapi.py`` into a
cache outside the repository. Without it the fake works all the same, and the tests that need it are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

__all__ = ["CACHED", "Description", "fetch", "published"]

VERSION = "23.0.2"
CACHED = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "understudy/openapi/api.github.com.json"
_PREFIX = "#/components/schemas/"
_PLAIN = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def fetch() -> None:
    """Put the description into the cache; needs npm and its registry."""
    CACHED.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHED.parent) as folder:
        command = ["npm", "pack", "--silent", f"@octokit/openapi@{VERSION}", "--pack-destination", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            source = package.extractfile("package/generated/api.github.com.json")
            assert source is not None
            fresh = Path(folder) / "description.json"
            fresh.write_bytes(source.read())
        fresh.replace(CACHED)


@cache
def published() -> Description | None:
    """The description, or None where it was not fetched."""
    return Description(json.loads(CACHED.read_bytes())) if CACHED.is_file() else None


class Description:
    """Checks requests and responses, and fills in what a response must have but no test cares about."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._paths, self._parts = document["paths"], document["components"]
        self._validators: dict[tuple[str, ...], Any] = {}

    def operation(self, method: str, template: str) -> dict[str, Any] | None:
        value: dict[str, Any] | None = self._paths.get(template, {}).get(method.lower())
        return value

    def problems_of_request(self, method: str, template: str, query: dict[str, str], body: Any) -> list[str]:
        """What is wrong with a request: unknown or ill-typed parameters, unknown or ill-typed fields of the body."""
        operation = self.operation(method, template)
        if operation is None:
            return [f"{method} {template} is not in the description"]
        where = f"{method} {template}"
        known = {one["name"]: one["schema"] for one in map(self._resolved, operation.get("parameters", []))}
        found = [f"{where}: no parameter {name}" for name in query if name not in known]
        for name, value in query.items():
            schema = self._resolved(known.get(name, {}))
            if "enum" in schema and value not in schema["enum"]:
                found.append(f"{where}: {name} cannot be {value!r}")
            if schema.get("type") == "integer" and not value.isdigit():
                found.append(f"{where}: {name} is no number: {value!r}")
        if body is not None:
            schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            if schema is None:
                return [*found, f"{where}: takes no body"]
            found += self._errors((where, "body"), schema, body)
            properties = set(self._resolved(schema).get("properties", {}))
            extra = set(body) - properties if properties and isinstance(body, dict) else set()
            found += [f"{where}: no field {name}" for name in sorted(extra)]
        return found

    def problems_of_response(self, method: str, template: str, status: int, value: Any) -> list[str]:
        """What is wrong with a response."""
        schema = self._schema_of(method, template, status)
        if schema is None:
            return []
        return self._errors((method, template, str(status)), schema, value)

    def filled(self, method: str, template: str, status: int, value: Any) -> Any:
        """Return a response with every required field that it lacks, made up from its type."""
        schema = self._schema_of(method, template, status)
        return value if schema is None else self._fill(schema, value)

    def _schema_of(self, method: str, template: str, status: int) -> dict[str, Any] | None:
        operation = self.operation(method, template) or {}
        response = self._resolved(operation.get("responses", {}).get(str(status), {}))
        schema: dict[str, Any] | None = response.get("content", {}).get("application/json", {}).get("schema")
        return schema

    def _resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            _, _, kind, name = schema["$ref"].split("/", 3)
            schema = self._parts[kind][name]
        return schema

    def _errors(self, key: tuple[str, ...], schema: dict[str, Any], value: Any) -> list[str]:
        if key not in self._validators:
            needed: dict[str, Any] = {}
            root = self._modern(schema, needed)
            self._validators[key] = jsonschema.Draft202012Validator({"allOf": [root], "$defs": needed})
        errors = self._validators[key].iter_errors(value)
        return [f"{' '.join(key)}: {'/'.join(map(str, one.absolute_path))}: {one.message[:200]}" for one in errors]

    def _modern(self, schema: Any, needed: dict[str, Any]) -> Any:
        """Turn a schema of OpenAPI 3.0 (``nullable``) into plain JSON Schema; referenced ones go into ``needed``."""
        if isinstance(schema, list):
            return [self._modern(one, needed) for one in schema]
        if not isinstance(schema, dict):
            return schema
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(_PREFIX)
            if name not in needed:
                needed[name] = True
                needed[name] = self._modern(self._parts["schemas"][name], needed)
            return {"$ref": f"#/$defs/{name}"}
        kept = {key: value for key, value in schema.items() if key not in ("example", "examples", "nullable")}
        plain = {key: self._modern(value, needed) for key, value in kept.items()}
        return {"anyOf": [plain, {"type": "null"}]} if schema.get("nullable") is True else plain

    def _fill(self, schema: dict[str, Any], value: Any) -> Any:
        schema = self._resolved(schema)
        for part in schema.get("allOf", []):
            value = self._fill(part, value)
        choices = [self._resolved(one) for one in schema.get("anyOf", schema.get("oneOf", []))]
        if choices and isinstance(value, dict):
            value = self._fill(next((one for one in choices if one.get("properties")), {}), value)
        if isinstance(value, list) and "items" in schema:
            return [self._fill(schema["items"], one) for one in value]
        if not isinstance(value, dict):
            return value
        properties = schema.get("properties", {})
        value = {key: self._fill(properties[key], one) if key in properties else one for key, one in value.items()}
        return value | {key: self._made(properties[key]) for key in schema.get("required", []) if key not in value}

    def _made(self, schema: dict[str, Any]) -> Any:
        schema = self._resolved(schema)
        if schema.get("nullable"):
            return None
        if "enum" in schema:
            return schema["enum"][0]
        for key in ("allOf", "anyOf", "oneOf"):
            if key in schema:
                return self._made(schema[key][0])
        if schema.get("type") == "object" or "properties" in schema:
            return self._fill(schema, {})
        return _PLAIN[schema.get("type", "string")]


if __name__ == "__main__":
    fetch()
    print(f"GitHub's description {VERSION} is in {CACHED}")
