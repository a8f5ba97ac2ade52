"""The methods of the client for models that exist: list, read, compare, promote, roll back and delete."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from queuecast.client.errors import ApiError
from queuecast.client.row_formats.json_rows import json_rows
from queuecast.client.row_formats.table_files import require_sendable
from queuecast.client.transport import Body, Transport, read_json
from queuecast.client.unsent_columns import have_names, is_frame, with_sent_values
from queuecast.client.versions.manifest_differences import manifest_differences
from queuecast.client.versions.pruning import plan_pruning

T = TypeVar("T")


class ModelAdministration:
    """The part of `Client` that chooses which versions there are and which of them answers."""

    _transport: Transport

    def models(self) -> list[Body]:
        """All models, each with its aliases and number of versions."""
        return list(self._transport.pages("/v1/models", {}))

    def model(self, name: str) -> Body:
        """A model's aliases, generation and number of versions."""
        body: Body = read_json(self._transport.send("GET", model_path(name)))
        return body

    def versions(self, name: str) -> list[Body]:
        """The manifests of a model's versions."""
        return list(self._transport.pages(f"{model_path(name)}/versions", {}))

    def schema(self, name: str, version: int | None = None) -> Body:
        """The JSON Schema of one row. version: default: the champion."""
        of_version = "" if version is None else f"/versions/{version}"
        body: Body = read_json(self._transport.send("GET", f"{model_path(name)}{of_version}/schema"))
        return body

    def _sent_rows(self, model: str, version: int | str | None, rows: Any) -> Any:
        """The rows as JSON, with null for values that cannot be sent in columns that the model does not read."""
        try:
            return json_rows(rows)
        except ValueError:
            read = self._columns_read(model, version) if have_names(rows) else None
            if read is None:
                raise
            return json_rows(with_sent_values(rows, json_rows, read))

    def _sent_table(
        self, send: Callable[[Any], T], model: str, version: int | str | None, table: Any, needed: Sequence[str] = ()
    ) -> T:
        """What `send` returns for the table. If it raises ValueError, it gets a DataFrame with None for the values that
        cannot be sent in columns that the model does not read, except those `needed`."""
        try:
            return send(table)
        except ValueError:
            read = self._columns_read(model, version) if is_frame(table) else None
            if read is None:
                raise
        return send(with_sent_values(table, require_sendable, {*read, *needed}))

    def _columns_read(self, name: str, version: int | str | None) -> set[str] | None:
        """The columns that a row needs; None if they are unknown."""
        try:
            schema = schema_for(self, name, version)
        except ApiError:
            return None
        return None if "x-always" in schema else set(schema.get("required", ()))  # of dicts, every key is read

    def promote(self, name: str, version: int, alias: str = "champion", reason: str = "") -> Body:
        """Points an alias at a version and returns the model.

        A version that its training found `worse` or `incomparable` becomes champion only with a reason (ApiError, 422).
        Raises ApiError (412) if another client moved an alias at the same time; read the model again before you retry.
        """
        response = self._transport.send("GET", model_path(name))
        etag = response.headers.get("ETag") or f'"{read_json(response)["generation"]}"'
        path = f"{model_path(name)}/aliases/{quote(alias, safe='')}"
        change = {"version": version, "reason": reason}
        body: Body = read_json(self._transport.send("PUT", path, body=change, headers={"If-Match": etag}))
        return body

    def rollback(self, name: str, reason: str = "") -> Body:
        """Makes the previous champion the champion again and returns the model."""
        body: Body = read_json(self._transport.send("POST", f"{model_path(name)}/rollback", body={"reason": reason}))
        return body

    def shadow(self, name: str) -> Body:
        """The shadow of a model, and how its answers compare with the champion's. `state` is `off` without a shadow."""
        body: Body = read_json(self._transport.send("GET", f"{model_path(name)}/shadow"))
        return body

    def set_shadow(self, name: str, version: int, sample: float = 1.0) -> Body:
        """Lets a version answer the share `sample` of the champion's jobs again, and returns the shadow.

        No caller notices. Raises ApiError (409) for the champion itself, and (422) for a share that is not above 0 and
        at most 1.
        """
        change = {"version": version, "sample": sample}
        response = self._transport.send("PUT", f"{model_path(name)}/shadow", body=change, is_idempotent=True)
        body: Body = read_json(response)
        return body

    def end_shadow(self, name: str) -> None:
        """Ends the shadow of a model and removes its counters. Does nothing for a model without one."""
        self._transport.send("DELETE", f"{model_path(name)}/shadow", is_idempotent=True)

    def outcomes(self, name: str) -> Body:
        """The live metrics of a model: each version on its newest rows with an outcome (`JobHandle.add_outcomes`)."""
        body: Body = read_json(self._transport.send("GET", f"{model_path(name)}/outcomes"))
        return body

    def history(self, name: str) -> list[Body]:
        """The moves of a model's aliases, oldest first: which version became champion when, and why.

        Deletions are entries too, with the action `delete_version` or `delete_model`. A deleted model keeps its
        history.
        """
        return list(self._transport.pages(f"{model_path(name)}/history", {}))

    def delete_version(self, name: str, version: int, reason: str = "") -> None:
        """Deletes a version for good. Its number is not used again. Does nothing if it is deleted already.

        Raises ApiError (409) for a version that an alias names, such as the champion, and while a job that has not
        ended needs the version.
        """
        self._delete(f"{model_path(name)}/versions/{version}", reason)

    def prune(self, name: str, keep: int, reason: str = "", *, dry_run: bool = False) -> Body:
        """Deletes all but the `keep` newest versions for good: `deleted` lists them, `kept` the older ones that stay.

        A version stays that an alias names, to which a rollback returns, or that a job needs. dry_run: deletes nothing
        and returns what it would delete.
        """
        aliases, numbers = self.model(name)["aliases"], [manifest["version"] for manifest in self.versions(name)]
        plan = plan_pruning(numbers, aliases, self.history(name), keep)
        deleted, kept = [], plan.kept
        for version in plan.doomed:
            try:
                if not dry_run:
                    self.delete_version(name, version, reason)
            except ApiError as error:
                if error.problem.get("code") != "in_use":  # an alias or a job got it since
                    raise
                kept[version] = str(error.problem["detail"])
            else:
                deleted.append(version)
        stays = [{"version": version, "why": kept[version]} for version in sorted(kept)]
        return {"model": name, "deleted": deleted, "kept": stays, "dry_run": dry_run}

    def diff(self, name: str, left: int | str, right: int | str) -> Body:
        """The differences between two versions: of their signature, parameters, environment, scores and origin.

        left, right: numbers or aliases. Each of `differences` has `field`, and its value as `left` and as `right`;
        a value that a version lacks is left out.
        """
        aliases = self.model(name)["aliases"]
        lefts, rights = (self._manifest(name, aliases.get(each, each)) for each in (left, right))
        differences = manifest_differences(lefts, rights)
        return {"model": name, "left": lefts["version"], "right": rights["version"], "differences": differences}

    def _manifest(self, name: str, version: int | str) -> Body:
        path = f"{model_path(name)}/versions/{quote(str(version), safe='')}"
        body: Body = read_json(self._transport.send("GET", path))
        return body

    def delete_model(self, name: str, reason: str = "") -> None:
        """Deletes a model for good, with all of its versions and aliases. Does nothing if it is deleted already.

        Raises ApiError (409) while a job that has not ended needs the model. A later push under the name begins a new
        model.
        """
        self._delete(model_path(name), reason, {"If-Match": "*"})

    def _delete(self, path: str, reason: str, headers: dict[str, str] | None = None) -> None:
        query = {"reason": reason} if reason else {}
        self._transport.send("DELETE", path, query=query, headers=headers, is_idempotent=True)


def model_path(name: str) -> str:
    return f"/v1/models/{quote(name, safe='')}"


def schema_for(client: ModelAdministration, name: str, version: int | str | None) -> Body:
    """The JSON Schema of a row of the version that a number or an alias names.

    For an alias that the model does not have, that of the champion: the answer to the submit explains it. Raises
    ApiError.
    """
    number = client.model(name)["aliases"].get(version) if isinstance(version, str) else version
    return client.schema(name, number)
